"""Virtual keys for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testinfra.host import Host

from .fixtures import SECRETS, Door, address


@pytest.fixture
def virtual_key(door: Door, host: Host) -> Iterator[str]:
    with made(host, "sk-a-virtual-key-of-the-tests", key_alias="tests", models=["pair", "new"]) as key:
        yield key


@contextmanager
def made(host: Host, key: str, **settings: Any) -> Iterator[str]:
    """A virtual key from LiteLLM's own API, which Caddy does not expose."""
    _litellm(host, "/key/generate", {"key": key, **settings})
    try:
        yield key
    finally:
        _litellm(host, "/key/delete", {"key_aliases": [settings["key_alias"]]})


def _litellm(host: Host, path: str, body: dict[str, Any]) -> str:
    """Calls LiteLLM on the host, with the master key, which is in no command line."""
    litellm = address(host, "litellm", "fleet-litellm")
    return host.check_output(
        f"sed 's/^/Authorization: Bearer /' {SECRETS}/master_key | curl --silent --show-error --fail-with-body "
        f"-H @- -H 'Content-Type: application/json' -d '{json.dumps(body)}' http://{litellm}:4000{path}"
    )

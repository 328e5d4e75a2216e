"""A virtual key for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from testinfra.host import Host

from .fixtures import SECRETS, Door, address


@pytest.fixture
def virtual_key(door: Door, host: Host) -> Iterator[str]:
    """A virtual key from LiteLLM's own API, which Caddy does not expose."""
    key = "sk-a-virtual-key-of-the-tests"
    _litellm(host, "/key/generate", {"key": key, "key_alias": "tests", "models": ["pair", "new"]})
    yield key
    _litellm(host, "/key/delete", {"key_aliases": ["tests"]})


def _litellm(host: Host, path: str, body: dict[str, Any]) -> str:
    """Calls LiteLLM on the host, with the master key, which is in no command line."""
    litellm = address(host, "litellm", "fleet-litellm")
    return host.check_output(
        f"sed 's/^/Authorization: Bearer /' {SECRETS}/master_key | curl --silent --show-error --fail-with-body "
        f"-H @- -H 'Content-Type: application/json' -d '{json.dumps(body)}' http://{litellm}:4000{path}"
    )

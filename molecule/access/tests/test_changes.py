"""What an admin changes on a host that serves costs no client a request, and nothing that was made before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lab.fixtures import SECRETS, Admin, Door, identities, inspect
from lab.load import Load, Stream
from testinfra.host import Host

CHAT = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
NEW = {
    "name": "new",
    "type": "chat",
    "source": "example/new",
    "devices": {"cpu": True},
    "direct": True,
    "open": True,
}
PER_SECOND = 3
AT_ONCE_S = 30


@pytest.fixture
def virtual_key(door: Door, host: Host) -> Iterator[str]:
    """A virtual key, made as LiteLLM's own API makes them; door has no way to that."""
    key = "sk-a-virtual-key-of-the-tests"
    litellm(host, "/key/generate", {"key": key, "key_alias": "tests", "models": ["pair", "new"]})
    yield key
    litellm(host, "/key/delete", {"key_aliases": ["tests"]})


def litellm(host: Host, path: str, body: dict[str, Any]) -> str:
    """From inside the host, with its master key, which stands in no command line."""
    address = inspect(host, "litellm")["litellm"]["NetworkSettings"]["Networks"]["llm-network"]["IPAddress"]
    return host.check_output(
        f"sed 's/^/Authorization: Bearer /' {SECRETS}/master_key | curl --silent --show-error --fail-with-body "
        f"-H @- -H 'Content-Type: application/json' -d '{json.dumps(body)}' http://{address}:4000{path}"
    )


def secret(host: Host, name: str) -> str:
    return host.check_output(f"cat {SECRETS}/{name}")


def chats(door: Door, path: str, model: str, key: str) -> int:
    return door.request("POST", f"{path}/chat/completions", key=key, json={"model": model, **CHAT}).status_code


@contextmanager
def loaded(door: Door, **keys: str) -> Iterator[Load]:
    """A steady load meanwhile, of which nothing may fail. keys: whose (master, virtual, direct) -> the key."""
    streams = []
    for whose, key in keys.items():
        if whose != "direct":
            streams.append(Stream(f"/v1 with {whose} key", "/v1/chat/completions", "pair", key, PER_SECOND))
        if whose != "virtual":
            path = "/models/pair/v1/chat/completions"
            streams.append(Stream(f"/models with {whose} key", path, "pair", key, PER_SECOND))
    with Load(door.url, str(door.certificate), *streams) as load:
        load.wait_for(2 * len(streams))
        yield load
        load.wait_for(2 * len(streams))
    print(load.summary())
    assert load.failed() == []


def test_no_request_is_lost_while_models_come_and_go(admin: Admin, door: Door, host: Host, virtual_key: str) -> None:
    before = identities(host)
    with_new = {"fleet_models": [*door.models, NEW]}
    with loaded(door, master=door.key, virtual=virtual_key, direct=secret(host, "direct-made")):
        run = admin.play("add_model", "-e", "model=new", variables=with_new)
        assert run.status == 0, run.output
        assert chats(door, "/v1", "new", virtual_key) == 200
        assert chats(door, "/models/new/v1", "new", door.key) == 200
        assert chats(door, "/open/new/v1", "new", "any") == 200
        run = admin.play("remove_model", "-e", "model=new", variables=with_new)
        assert run.status == 0, run.output
    assert chats(door, "/models/new/v1", "new", door.key) == 404
    assert chats(door, "/open/new/v1", "new", "any") == 404
    assert untouched(before, identities(host)) == set(before) - {"litellm"}


def test_no_request_is_lost_while_the_master_key_is_rotated_and_both_are_taken_for_a_while(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    before, old = identities(host), door.key
    with loaded(door, master=old, virtual=virtual_key):
        run = admin.play("rotate_keys", "-e", "secret=master_key", "-vvv", "--diff")
    assert run.status == 0, run.output
    new = secret(host, "master_key")
    assert new != old
    for key in (old, new):
        assert key not in run.output
        assert chats(door, "/v1", "pair", key) == 200
        assert chats(door, "/models/pair/v1", "pair", key) == 200
    assert untouched(before, identities(host)) == set(before) - {"litellm"}
    again = admin.play("install")
    assert again.changed() == {"gate": 0}, again.output
    ended = admin.play("install", variables={"fleet_overlap": 0})
    assert ended.status == 0, ended.output
    assert chats(door, "/v1", "pair", old) == 401
    assert chats(door, "/models/pair/v1", "pair", old) == 401
    assert chats(door, "/v1", "pair", virtual_key) == 200
    door.key = new


def test_a_direct_key_is_rotated_without_a_word_to_anybody_else(admin: Admin, door: Door, host: Host) -> None:
    before, old = identities(host), secret(host, "direct-made")
    with loaded(door, direct=old):
        run = admin.play("rotate_keys", "-e", "secret=direct-made")
    assert run.status == 0, run.output
    assert "accepted until" in run.messages
    assert identities(host) == before
    new = secret(host, "direct-made")
    assert new != old
    assert chats(door, "/models/pair/v1", "pair", new) == 200
    gone = admin.play("rotate_keys", "-e", "secret=direct-made", "-e", "overlap=0")
    assert gone.status == 0, gone.output
    for key in (old, new):
        assert chats(door, "/models/pair/v1", "pair", key) == 401


def test_the_password_of_the_database_is_rotated_and_no_virtual_key_is_lost(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    before, old = identities(host), secret(host, "postgres_password")
    with loaded(door, virtual=virtual_key, master=door.key):
        run = admin.play("rotate_keys", "-e", "secret=postgres_password")
    assert run.status == 0, run.output
    assert secret(host, "postgres_password") != old
    assert untouched(before, identities(host)) == set(before) - {"litellm"}
    assert not opens_database(host, old)
    assert opens_database(host, secret(host, "postgres_password"))


def test_litellms_administration_is_reachable_only_where_that_is_asked_for(admin: Admin, door: Door) -> None:
    run = admin.play("install", variables={"fleet_litellm_admin": True, "fleet_caddy": {"max_body_mb": 1}})
    assert run.status == 0, run.output
    assert door.request("GET", "/key/list").status_code == 200
    assert door.request("GET", "/key/list", key="sk-wrong-key").status_code == 401
    assert chats(door, "/v1", "pair", door.key) == 200
    for path in ("/v1", "/models/pair/v1"):
        too_long = door.request("POST", f"{path}/chat/completions", data=b" " * 1_000_001)
        assert too_long.status_code == 413
        assert too_long.elapsed.total_seconds() < AT_ONCE_S, "it waited as for a LiteLLM that restarts"
    run = admin.play("install")
    assert run.status == 0, run.output
    assert door.request("GET", "/key/list").status_code == 404


def test_what_cannot_be_rotated_is_refused_before_anything_is_touched(admin: Admin, host: Host) -> None:
    before = identities(host)
    for arguments, told in {
        ("secret=salt_key",): "never rotated",
        ("secret=direct-nobody",): "direct-nobody: there is no such secret on this host",
        ("secret=direct-awkward",): "the inventory gives it",
        ("secret=direct-made", "overlap=1h"): "a whole number, 0 or more",
        (): "which secret?",
    }.items():
        run = admin.play("rotate_keys", *(word for one in arguments for word in ("-e", one)))
        assert run.status != 0
        assert told in run.messages
    assert identities(host) == before


def test_no_request_is_lost_while_litellm_is_restarted_by_hand(door: Door, host: Host, virtual_key: str) -> None:
    with loaded(door, master=door.key, virtual=virtual_key):
        host.check_output("docker restart litellm")


def untouched(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, one in before.items() if after.get(name) == one}


def opens_database(host: Host, password: str) -> bool:
    """Over the network, where PostgreSQL asks for it; the password goes through standard input."""
    quoted = password.replace("\\", "\\\\").replace(":", "\\:")
    answer = host.run(
        "printf '%%s' %s | docker exec -i postgres sh -c "
        '\'umask 077; cat > /tmp/pass; PGPASSFILE=/tmp/pass psql -h postgres -U litellm -d litellm -Atc "select 1"; '
        "rc=$?; rm /tmp/pass; exit $rc'",
        f"postgres:5432:litellm:litellm:{quoted}",
    )
    return answer.rc == 0

"""What an admin changes on a host that serves costs no client a request, and nothing that was made before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from lab.fixtures import SECRETS, Admin, Door, identities, requests_seen
from lab.load import Load, Stream
from lab.raw import Wire
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
DIRECT = "/models/pair/v1/chat/completions"


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
            streams.append(Stream(f"/models with {whose} key", DIRECT, "pair", key, PER_SECOND))
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
    assert open_keys(host) == {"fleet-open-pair", "fleet-open-other"}
    assert untouched(before, identities(host)) == set(before) - {"litellm"}


@pytest.mark.extended
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


@pytest.mark.extended
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


def test_a_reload_of_caddy_loses_no_request(admin: Admin, door: Door, host: Host) -> None:
    """There and back; new connections and kept ones."""

    def asked() -> int:
        return sum(
            one["path"] == "/v1/chat/completions"
            for one in (*requests_seen(host, "pair", 1), *requests_seen(host, "pair", 2))
        )

    before = asked()
    with (
        Load(door.url, str(door.certificate), Stream("new", DIRECT, "pair", door.key, 10), newcomers=True) as new,
        Load(door.url, str(door.certificate), Stream("kept", DIRECT, "pair", door.key, 10)) as kept,
    ):
        check_administration(admin, door)
        run = admin.play("install")
    print(new.summary(), kept.summary(), sep="\n")
    assert run.status == 0, run.output
    assert door.request("GET", "/key/list").status_code == 404
    assert [*new.failed(), *kept.failed()] == []
    assert asked() - before == len(new.answers) + len(kept.answers)
    process = host.check_output("docker inspect --format '{{.State.Pid}}' caddy")
    rules = host.check_output(f"nsenter --net=/proc/{process}/ns/net iptables --table nat --list-rules PREROUTING")
    assert "REDIRECT" not in rules, "a rule of the reload is left"


def check_administration(admin: Admin, door: Door) -> None:
    """LiteLLM's is reachable where that is asked for; another limit for bodies is asked for with it."""
    run = admin.play("install", variables={"fleet_litellm_admin": True, "fleet_caddy": {"max_body_mb": 1}})
    assert run.status == 0, run.output
    assert door.request("GET", "/key/list").status_code == 200
    assert door.request("GET", "/key/list", key="sk-wrong-key").status_code == 401
    for path in ("/v1", "/models/pair/v1"):
        # Its body is not sent: who sends it all the same finds the connection closed before he hears the answer.
        head = (
            f"POST {path}/chat/completions HTTP/1.1\r\nHost: {door.address}\r\n"
            f"Authorization: Bearer {door.key}\r\nContent-Length: 1000001\r\n\r\n"
        )
        asked = time.monotonic()
        assert Wire(door.address, door.trust).exchange(head.encode(), "POST").status == 413
        assert time.monotonic() - asked < AT_ONCE_S, "it waited as for a LiteLLM that restarts"


def test_what_cannot_be_rotated_is_refused_before_anything_is_touched(admin: Admin, host: Host) -> None:
    before = identities(host)

    def is_told(*arguments: str) -> str:
        run = admin.play("rotate_keys", *(word for one in arguments for word in ("-e", one)))
        assert run.status != 0
        return run.messages

    with ThreadPoolExecutor() as pool:  # refused before any host is asked, so that no run holds up another
        salt_key, an_hour, nothing = pool.map(
            lambda arguments: is_told(*arguments), (["secret=salt_key"], ["secret=direct-made", "overlap=1h"], [])
        )
    assert "never rotated" in salt_key
    assert "a whole number, 0 or more" in an_hour
    assert "run again with -e secret=NAME" in nothing
    assert "direct-nobody: there is no such secret on this host" in is_told("secret=direct-nobody")
    assert "the inventory gives it" in is_told("secret=direct-awkward")
    assert identities(host) == before


def open_keys(host: Host) -> set[str]:
    """The aliases of the keys that Caddy sends to LiteLLM on open routes."""
    query = """select key_alias from "LiteLLM_VerificationToken" where key_alias like 'fleet-open-%'"""
    return set(host.check_output("docker exec postgres psql -U litellm -d litellm -Atc %s", query).split())


def untouched(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, one in before.items() if after.get(name) == one}


def opens_database(host: Host, password: str) -> bool:
    """Over the network, where PostgreSQL asks for it; the password goes through standard input."""
    logins = "select rolname from pg_roles where rolname ~ '^litellm_'"
    (login,) = host.check_output("docker exec postgres psql -U litellm -d litellm -Atc %s", logins).split()
    quoted = password.replace("\\", "\\\\").replace(":", "\\:")
    answer = host.run(
        "printf '%%s' %s | docker exec -i postgres sh -c "
        '\'umask 077; cat > /tmp/pass; PGPASSFILE=/tmp/pass psql -h postgres -U %s -d litellm -Atc "select 1"; '
        "rc=$?; rm /tmp/pass; exit $rc'",
        f"postgres:5432:litellm:{login}:{quoted}",
        login,
    )
    return answer.rc == 0

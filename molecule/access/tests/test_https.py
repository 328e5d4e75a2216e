"""HTTPS: Caddy's own CA, files, an ACME server; from one to the next by a reload, with streams under way."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from lab.fixtures import ROOT_CERTIFICATE, Admin, Door, identities, inspect, requests_seen, wait_until
from testinfra.host import Host
from unit.authority import Pair, issue

NAME = "gate.test"
TOKENS = 40  # 8 s on the model that is slow
MISDIRECTED = 421
BETWEEN_S = 2  # so that some are always under way
CADDYFILE = "/etc/inference-fleet/caddy/Caddyfile"
STORED = "/data/caddy/certificates/acme.test-acme-local-directory /data/caddy/acme/acme.test-acme-local-directory"
ACME_SERVER = """
{
	skip_install_trust
}
acme.test {
	tls internal
	acme_server
}
"""


@dataclass(frozen=True)
class Mode:
    """A value of fleet_https; the name a client knows the host by, and the root (PEM) that it trusts."""

    https: dict[str, Any] | None
    name: str
    root: str
    leaf: x509.Certificate | None = None  # where it is known beforehand

    def variables(self) -> dict[str, Any] | None:
        return {"fleet_https": self.https} if self.https else None


@dataclass
class Streamed:
    """A client's chat. started, ended: seconds since the epoch; started is 0 where it was not let in: it did not trust
    the certificate, or a reload closed its new connection without a word (golang/go #75591), so that it may come again.
    """

    started: float = 0
    ended: float = 0
    lines: list[str] = field(default_factory=list)
    error: Exception | None = None

    @property
    def tokens(self) -> int:
        told = [json.loads(line) for line in self.lines if line != "[DONE]"]
        return sum(bool(choice["delta"].get("content")) for one in told for choice in one["choices"])


def connect(door: Door, mode: Mode) -> http.client.HTTPConnection:
    """As a client that knows the host's name, which no DNS server here does, and that root alone."""
    trust = ssl.create_default_context(cadata=mode.root)
    connection = http.client.HTTPConnection(mode.name, timeout=120)
    plain = socket.create_connection((door.address, 443), 120)
    connection.sock = trust.wrap_socket(plain, server_hostname=mode.name)
    return connection


def served(door: Door, mode: Mode) -> x509.Certificate:
    """The certificate that a client is shown and finds in order. Raises ssl.SSLError."""
    connection = connect(door, mode)
    connection.request("GET", "/models/slow/v1/models", headers={"Authorization": f"Bearer {door.key}"})
    assert connection.getresponse().status == 200
    shown = connection.sock.getpeercert(binary_form=True)
    connection.close()
    return x509.load_der_x509_certificate(shown)


def chat(door: Door, mode: Mode, streamed: Streamed) -> None:
    body = {"model": "slow", "stream": True, "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": f"Bearer {door.key}", "Content-Type": "application/json"}
    try:
        connection = connect(door, mode)
    except ssl.SSLError:
        return
    streamed.started = time.time()
    try:
        connection.request("POST", "/models/slow/v1/chat/completions", json.dumps(body), headers)
        try:
            answer = connection.getresponse()
        except ConnectionError:  # RemoteDisconnected is one: not a byte of an answer
            streamed.started = 0
            return
        if answer.status == MISDIRECTED:  # the name is not served any more, but its certificate was still in memory
            streamed.started = 0
            return
        for line in answer:
            if line.startswith(b"data: "):
                streamed.lines.append(line.decode().removeprefix("data: ").strip())
    except Exception as error:  # for the test to tell: this is another thread
        streamed.error = error
    streamed.ended = time.time()


@contextmanager
def clients(door: Door, mode: Mode) -> Iterator[list[Streamed]]:
    """Clients that come one after the other meanwhile; at the end, the chats of those that got in, all ended."""
    done = threading.Event()
    chats: list[Streamed] = []

    def come() -> None:
        with ThreadPoolExecutor() as pool:
            while not done.is_set():
                chats.append(Streamed())
                pool.submit(chat, door, mode, chats[-1])
                done.wait(BETWEEN_S)

    coming = threading.Thread(target=come)
    coming.start()
    try:
        yield chats
    finally:
        done.set()
        coming.join()
        chats[:] = [one for one in chats if one.started]


def files(pair: Pair, *names: str) -> dict[str, Any]:
    return {"mode": "files", "names": list(names), "cert": pair.cert, "key": pair.key}


def lately(**since: int) -> datetime:
    return datetime.now(UTC) - timedelta(**since)


@pytest.fixture(scope="module", autouse=True)
def as_the_inventory_has_it(admin: Admin, host: Host) -> Iterator[None]:
    """Whatever fails here, the tests that come after this file find the host as they expect it."""
    before = host.check_output(f"cat {CADDYFILE}")
    yield
    if host.check_output(f"cat {CADDYFILE}") != before:
        assert admin.play("install").status == 0


@pytest.fixture(scope="module")
def internal(door: Door) -> Mode:
    return Mode(None, door.address, door.certificate.read_text())


@pytest.fixture(scope="module")
def acme_root(host: Host) -> Iterator[str]:
    """The root of an ACME server that runs on the host, to which the host's Caddy is gate.test."""
    caddy = inspect(host, "caddy")["caddy"]
    address = caddy["NetworkSettings"]["Networks"]["llm-network"]["IPAddress"]
    host.check_output(f"printf %s '{ACME_SERVER}' > /root/acme.Caddyfile; docker rm --force acme")
    host.check_output(
        f"docker run --detach --name acme --network llm-network --network-alias acme.test --add-host {NAME}:{address} "
        f"--volume /root/acme.Caddyfile:/etc/caddy/Caddyfile:ro {caddy['Config']['Image']}"
    )
    wait_until(lambda: host.run(f"docker exec acme test -s {ROOT_CERTIFICATE}").succeeded, "it has a root")
    yield host.check_output(f"docker exec acme cat {ROOT_CERTIFICATE}")
    host.check_output(f"docker rm --force --volumes acme; rm /root/acme.Caddyfile; docker exec caddy rm -rf {STORED}")


@pytest.fixture(scope="module")
def modes(door: Door, internal: Mode) -> dict[str, Mode]:
    """By name; `now` is the one that the tests below have brought the host to."""
    first, renewed = (issue(NAME, door.address, start=lately(days=ago), days=90) for ago in (50, 1))
    return {
        "now": internal,
        "internal": internal,
        "files": Mode(files(first, NAME, door.address), NAME, first.cert, first.certificate),
        "files renewed": Mode(files(renewed, NAME, door.address), door.address, renewed.cert, renewed.certificate),
    }


def test_a_certificate_that_will_not_do_is_refused_before_anything_is_touched(
    admin: Admin, door: Door, host: Host, internal: Mode
) -> None:
    expired, other = issue("elsewhere.test", start=lately(days=100), days=90), issue(NAME, start=lately(days=1))
    before = identities(host), host.check_output(f"sha256sum {CADDYFILE}"), served(door, internal)
    given = {"mode": "files", "names": [NAME], "cert": expired.cert, "key": other.key}
    run = admin.play("install", "-vvv", "--diff", variables={"fleet_https": given})
    assert run.status != 0
    for told in (
        "nothing was touched",
        "fleet_https.cert: expired on",
        "fleet_https.key: belongs to another certificate",
        f"fleet_https.names[0]: '{NAME}' is not covered by the certificate, which is for elsewhere.test",
    ):
        assert told in run.messages
    assert not any(line in run.output for line in other.key.splitlines() if not line.startswith("-----"))
    assert (identities(host), host.check_output(f"sha256sum {CADDYFILE}"), served(door, internal)) == before


def test_the_root_certificate_is_what_a_client_needs(admin: Admin, door: Door, internal: Mode, tmp_path: Path) -> None:
    run = admin.play("root_certificate", "-e", f"dest={tmp_path}")
    assert run.status == 0, run.output
    fetched = tmp_path / f"{door.name}-root.crt"
    assert served(door, Mode(None, internal.name, fetched.read_text()))
    assert set(admin.play("root_certificate", "-e", f"dest={tmp_path}").changed().values()) == {0}


@pytest.mark.extended
@pytest.mark.parametrize("after", ["files", "files renewed"])
def test_another_certificate_is_a_reload(
    admin: Admin, door: Door, host: Host, modes: dict[str, Mode], after: str
) -> None:
    change(admin, door, host, modes, after)
    kept = host.check_output("ls /etc/inference-fleet/caddy/tls").split()
    assert sorted(name.partition(".")[2] for name in kept) == ["crt", "key"], "of before there is nothing left"


@pytest.mark.extended
def test_a_certificate_of_an_acme_server_is_a_reload(
    admin: Admin, door: Door, host: Host, modes: dict[str, Mode], acme_root: str
) -> None:
    https = {
        "mode": "acme",
        "names": [NAME],
        "email": "admin@example.com",
        "directory": "https://acme.test/acme/local/directory",
        "directory_root": acme_root,
    }
    modes["acme"] = Mode(https, NAME, acme_root)
    change(admin, door, host, modes, "acme")
    with pytest.raises(ssl.SSLCertVerificationError):
        served(door, Mode(None, NAME, modes["internal"].root))


@pytest.mark.extended
def test_back_to_its_own_ca_is_a_reload(admin: Admin, door: Door, host: Host, modes: dict[str, Mode]) -> None:
    change(admin, door, host, modes, "internal", twice=False)  # molecule's idempotence, already
    assert host.check_output("ls /etc/inference-fleet/caddy/tls") == ""


def chats_seen(host: Host) -> int:
    return sum(one["path"] == "/v1/chat/completions" for one in requests_seen(host, "slow"))


def change(admin: Admin, door: Door, host: Host, modes: dict[str, Mode], name: str, twice: bool = True) -> None:
    """From the mode of now to that one, and all that is promised of it."""
    before, after = modes["now"], modes[name]
    containers, asked = identities(host), chats_seen(host)
    with clients(door, before) as chats:
        run = admin.play("install", variables=after.variables())
        assert run.status == 0, run.output
        modes["now"] = after
    changed = float(host.check_output(f"stat --format %Y {CADDYFILE}"))
    assert [one for one in chats if one.started < changed < one.ended - 2], "one was under way"
    for one in chats:
        assert one.error is None
        assert (one.tokens, one.lines[-1]) == (TOKENS, "[DONE]")
    assert chats_seen(host) - asked == len(chats), "who was not let in had reached no engine"

    shown = served(door, after)
    assert shown == (after.leaf or shown)
    with pytest.raises(ssl.SSLError):
        served(door, before)
    if twice:
        again = admin.play("install", variables=after.variables())
        assert set(again.changed().values()) == {0}, again.output
    assert identities(host)["caddy"] == containers["caddy"]

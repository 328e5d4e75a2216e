"""Who a person is: the owner of the other end of a connection, or who knows a password."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.passwords import hashed
from fleet_page import people
from fleet_page.people import Person, Sessions, person, proves, unix_user
from fleet_page.settings import Settings, User
from hypothesis import given
from hypothesis import strategies as st

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
HERE, THERE = "0100007F", "00000000000000000000000001000000"
MAPPED = "0000000000000000FFFF00000100007F"
ROOT, NOBODY = 0, pwd.getpwnam("nobody").pw_uid


def line(local: str, remote: str, uid: int, state: str = "01", inode: int = 4711) -> str:
    rest = f"{state} 00000000:00000000 00:00000000 00000000 {uid:5d}        0 {inode} 1 0000000000000000 20 4 0 10 -1"
    return f"   0: {local} {remote} {rest}\n"


def user(tmp_path: Path, *lines: str, peer: str = "127.0.0.1", own: str = "127.0.0.1") -> str | None:
    table = tmp_path / "tcp"
    table.write_text(HEAD + "".join(lines))
    return unix_user((peer, 40000), (own, 7860), [tmp_path / "missing", table])


def test_the_client_owns_its_end(tmp_path: Path) -> None:
    theirs = line(f"{HERE}:9C40", f"{HERE}:1EB4", NOBODY)
    ours = line(f"{HERE}:1EB4", f"{HERE}:9C40", ROOT)
    assert user(tmp_path, ours, theirs) == "nobody"
    assert user(tmp_path, ours) is None


def test_a_client_of_another_address_family(tmp_path: Path) -> None:
    assert user(tmp_path, line(f"{MAPPED}:9C40", f"{MAPPED}:1EB4", NOBODY)) == "nobody"
    found = line(f"{HERE}:9C40", f"{HERE}:1EB4", NOBODY)
    assert user(tmp_path, found, peer="::ffff:127.0.0.1", own="::ffff:127.0.0.1") == "nobody"
    assert user(tmp_path, line(f"{THERE}:9C40", f"{THERE}:1EB4", NOBODY), peer="::1", own="::1") == "nobody"
    assert user(tmp_path, line(f"{THERE}:9C40", f"{THERE}:1EB4", NOBODY)) is None


# FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE: the process has closed it, and the kernel shows root.
@pytest.mark.parametrize("state", ["04", "05", "06", "07", "0B"])
def test_a_closed_connection_is_not_of_root(tmp_path: Path, state: str) -> None:
    assert user(tmp_path, line(f"{HERE}:9C40", f"{HERE}:1EB4", ROOT, state, inode=0)) is None


def test_a_connection_without_a_process_is_not_of_root(tmp_path: Path) -> None:
    assert user(tmp_path, line(f"{HERE}:9C40", f"{HERE}:1EB4", ROOT, inode=0)) is None


@pytest.mark.parametrize(
    "found",
    [
        line(f"{HERE}:9C41", f"{HERE}:1EB4", ROOT),
        line(f"{HERE}:9C40", f"{HERE}:1EB5", ROOT),
        line("0200007F:9C40", f"{HERE}:1EB4", ROOT),
        line(f"{HERE}:9C40", "00000000:0000", ROOT),
        "   0: broken\n",
        "\n",
    ],
)
def test_another_connection_says_nothing(tmp_path: Path, found: str) -> None:
    assert user(tmp_path, found) is None


@pytest.mark.parametrize(("peer", "own"), [(None, None), (("127.0.0.1", 1), None), (("/run/x", 0), ("/run/x", None))])
def test_a_connection_that_is_not_tcp_is_nobodys(peer: object, own: object) -> None:
    assert unix_user(peer, own) is None  # type: ignore[arg-type]


def test_a_user_without_a_name_is_a_number(tmp_path: Path) -> None:
    assert user(tmp_path, line(f"{HERE}:9C40", f"{HERE}:1EB4", 54321)) == "uid 54321"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_real_connection_until_it_is_closed(family: socket.AddressFamily) -> None:
    with socket.socket(family) as listening:
        try:
            listening.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
        listening.listen()
        client = socket.create_connection(listening.getsockname()[:2])
        served, peer = listening.accept()
        with served:
            me = pwd.getpwuid(os.geteuid()).pw_name
            assert unix_user(peer, served.getsockname()) == me
            assert unix_user(served.getsockname(), peer) == me
            client.sendall(b"GET / HTTP/1.1\r\n")
            client.close()
            assert unix_user(peer, served.getsockname()) is None


def settings(**users: User) -> Settings:
    path = Path("/x")
    return Settings(path, path, path, path, path, users=users)


def test_root_may_change_where_nobody_logs_in() -> None:
    assert person(settings(), "root") == Person("root", True)
    assert person(settings(alice=User("change", hashed("x", n=2))), "root") is None


@pytest.mark.parametrize(
    ("name", "found"),
    [("alice", Person("alice", True)), ("bob", Person("bob", False)), ("eve", None), ("", None), (None, None)],
)
def test_rights_are_those_of_the_settings(name: str | None, found: Person | None) -> None:
    assert person(settings(alice=User("change"), bob=User("look")), name) == found


def test_knows_a_password() -> None:
    alice = User("change", hashed("correct horse", n=2))
    assert proves("correct horse", alice)
    assert not proves("Correct horse", alice)
    assert not proves("", alice)


@pytest.mark.parametrize(
    "stored",
    [None, "", "x", "scrypt$2$8$1$AAAA", "scrypt$a$8$1$AAAA$AAAA", "scrypt$3$8$1$AAAA$AAAA", "scrypt$2$8$1$ä$AAAA"],
)
def test_no_password_fits_a_broken_hash(stored: str | None) -> None:
    assert not proves("", User("change", stored))
    assert not proves("x", User("change", stored))


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_the_same_password_fits(one: str, other: str) -> None:
    try:
        stored = hashed(one, n=2)
    except UnicodeEncodeError:
        return
    assert proves(other, User("look", stored)) == (one == other)


def test_an_unknown_user_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(people, "is_password", lambda _password, stored: compared.append(stored) or True)
    assert not proves("x", None) and not proves("x", User("look"))
    assert [one.split("$")[:4] for one in compared] == [hashed("y").split("$")[:4]] * 2


def test_sessions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(people.time, "monotonic", lambda: now[0])
    sessions = Sessions()
    one, other = sessions.start("alice"), sessions.start("bob")
    assert (sessions.name(one), sessions.name(other)) == ("alice", "bob")
    assert one != other and len(one) > 30
    sessions.end(one)
    sessions.end("unknown")
    sessions.end(None)
    assert sessions.name(one) is None and sessions.name(other) == "bob"
    now[0] += people.SESSION_SECONDS + 1
    assert sessions.name(other) is None
    sessions.start("alice")
    assert len(sessions._names) == 1


@pytest.mark.parametrize("token", [None, "", "x", "x" * 100_000])
def test_an_unknown_session_is_nobodys(token: str | None) -> None:
    sessions = Sessions()
    sessions.start("alice")
    assert sessions.name(token) is None

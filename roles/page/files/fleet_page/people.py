# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who uses the page: the Unix user at the other end of a loopback connection, or a person with a password."""

from __future__ import annotations

import ipaddress
import pwd
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.passwords import hashed, is_password

from fleet_page.settings import CHANGE, Settings, User

ESTABLISHED = "01"  # in the column `st`
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
SESSION_SECONDS = 12 * 3600
WAIT_SECONDS = 2.0  # after a wrong password


Address = Sequence[Any]  # address and port, and more in IPv6


@dataclass(frozen=True)
class Person:
    name: str
    may_change: bool


def person(settings: Settings, name: str | None) -> Person | None:
    """The person with a proved name, None if the page has no such user."""
    if not name:
        return None
    if name == "root" and not settings.logs_in:
        return Person(name, True)
    user = settings.users.get(name)
    return Person(name, user.may == CHANGE) if user else None


def unix_user(peer: Address | None, own: Address | None, tables: Iterable[Path] = TABLES) -> str | None:
    """The user who owns the socket at the other end of a connection of this machine; None for any other connection.

    With `ssh -L`, sshd connects as the user who logged in. A socket that its process has closed is nobody's: the kernel
    shows it as root's (proc(5), /proc/net/tcp), so only an established connection counts.
    """
    if not peer or not own or not own[1]:
        return None
    wanted = (_hexadecimal(*peer[:2]), _hexadecimal(*own[:2]))
    for table in tables:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and (_short(fields[1]), _short(fields[2])) == wanted:
                return _name(int(fields[7])) if fields[3] == ESTABLISHED and fields[9] != "0" else None
    return None


def _hexadecimal(address: str, port: int) -> str:
    """As in /proc/net/tcp: words of 32 bits in the order of the processor, little-endian here."""
    packed = ipaddress.ip_address(address).packed
    words = [packed[index : index + 4][::-1] for index in range(0, len(packed), 4)]
    return _short(f"{b''.join(words).hex().upper()}:{port:04X}")


def _short(field: str) -> str:
    """An IPv4 address in IPv6 (::ffff:127.0.0.1) as IPv4."""
    return field.removeprefix("0000000000000000FFFF0000")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def proves(password: str, user: User | None) -> bool:
    """Whether the password is the user's. Takes as long for an unknown user."""
    stored = user.password if user else None
    return is_password(password, stored or _NOBODY) and bool(stored)


_NOBODY = hashed(secrets.token_hex())


class Sessions:
    """Logins by cookie, in memory: a restart of the service ends them."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, float]] = {}

    def start(self, name: str) -> str:
        now = time.monotonic()
        self._names = {key: one for key, one in self._names.items() if one[1] > now}
        token = secrets.token_urlsafe(32)
        self._names[token] = (name, now + SESSION_SECONDS)
        return token

    def name(self, token: str | None) -> str | None:
        name, until = self._names.get(token or "", ("", 0.0))
        return name if until > time.monotonic() else None

    def end(self, token: str | None) -> None:
        self._names.pop(token or "", None)

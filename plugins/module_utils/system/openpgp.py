# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OpenPGP keys (RFC 9580): the fingerprints in a file of public keys, and the same keys in one form. Pure.

Nothing here checks a signature. Who has the fingerprint of a key can take the key from anywhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

PUBLIC_KEY = 6
# What may be in a file of public keys: signature, key, trust, user ID, subkey, user attribute, padding.
_ALLOWED = (2, PUBLIC_KEY, 12, 13, 14, 17, 21)
_BLOCK = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\n(?:[A-Za-z]+: [^\n]*\n)*[ \t]*\n([A-Za-z0-9+/=\s]+)"
    rb"-----END PGP PUBLIC KEY BLOCK-----\s*"
)
_HEAD, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", "-----END PGP PUBLIC KEY BLOCK-----\n"


@dataclass(frozen=True)
class Packet:
    tag: int
    body: bytes

    @property
    def fingerprint(self) -> str:
        """Of a key (RFC 9580, 5.5.4), in upper case."""
        version = self.body[:1]
        if version == b"\x04":
            return hashlib.sha1(b"\x99" + len(self.body).to_bytes(2, "big") + self.body).hexdigest().upper()
        if version == b"\x06":
            return hashlib.sha256(b"\x9b" + len(self.body).to_bytes(4, "big") + self.body).hexdigest().upper()
        raise FleetError(f"expected a key of version 4 or 6, got version {self.body[:1].hex() or 'none'}")


def pinned_key(data: bytes, fingerprints: Iterable[str]) -> str:
    """The keys of the file as text. Raises FleetError unless each of them has one of the fingerprints.

    The text is written anew from what was read, so no other program finds another key in it."""
    packets = tuple(_packets(_binary(data)))
    if not packets or packets[0].tag != PUBLIC_KEY:
        raise FleetError("expected an OpenPGP public key, got something else")
    expected = {plain_fingerprint(one) for one in fingerprints}
    found = [one.fingerprint for one in packets if one.tag == PUBLIC_KEY]
    if not set(found) <= expected:
        raise FleetError(f"expected the key {' or '.join(sorted(expected))}, got {' and '.join(found)}")
    whole = b"".join(_written(one) for one in packets)
    text = base64.b64encode(whole).decode()
    lines = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    return f"{_HEAD}{lines}={base64.b64encode(_crc24(whole)).decode()}\n{_END}"


def plain_fingerprint(text: str) -> str:
    """As programs write it: upper case, without blanks."""
    return re.sub(r"\s", "", text).upper()


def _binary(data: bytes) -> bytes:
    """All blocks of a file as text, or the file. Checksums are left out (RFC 9580, 6.1: they protect nothing)."""
    text = data.replace(b"\r\n", b"\n").strip()
    if not text.startswith(b"-----BEGIN"):
        return data
    if _BLOCK.sub(b"", text + b"\n").strip():
        raise FleetError("expected blocks of OpenPGP public keys, got more or something else")
    try:
        blocks = [re.sub(rb"\s*\n=[A-Za-z0-9+/]{4}\s*\Z", b"", one.strip()) for one in _BLOCK.findall(text + b"\n")]
        return b"".join(base64.b64decode(re.sub(rb"\s", b"", one), validate=True) for one in blocks)
    except binascii.Error as error:
        raise FleetError(f"expected an OpenPGP public key, got broken base64 ({error})") from error


def _packets(data: bytes) -> Iterator[Packet]:
    """RFC 9580, 4.2. Lengths that leave the end open are refused: no key has them."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise FleetError("expected an OpenPGP public key, got something else")
        tag, size, at = (head & 0x3F, *_new_length(data, at + 1)) if head & 0x40 else _old_length(data, at)
        if tag not in _ALLOWED:
            raise FleetError(f"expected an OpenPGP public key, got a packet of type {tag}")
        if at + size > len(data):
            raise FleetError("expected an OpenPGP public key, got an incomplete one")
        yield Packet(tag, data[at : at + size])
        at += size


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Length of the body, and where the body begins."""
    first = data[at : at + 1]
    if not first or 224 <= first[0] < 255:
        raise FleetError("expected an OpenPGP public key, got an incomplete one")
    if first[0] < 192:
        return first[0], at + 1
    if first[0] < 224:
        return (first[0] - 192 << 8) + int.from_bytes(data[at + 1 : at + 2], "big") + 192, at + 2
    return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5


def _old_length(data: bytes, at: int) -> tuple[int, int, int]:
    """Type, length of the body, and where the body begins."""
    head = data[at]
    if head & 3 == 3:
        raise FleetError("expected an OpenPGP public key, got an incomplete one")
    count = 1 << (head & 3)
    return head >> 2 & 0xF, int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count


def _written(packet: Packet) -> bytes:
    """In the old form where its type allows that, as GnuPG writes keys."""
    size = len(packet.body)
    if packet.tag < 16:
        return bytes([0x80 | packet.tag << 2 | 2]) + size.to_bytes(4, "big") + packet.body
    return bytes([0xC0 | packet.tag, 255]) + size.to_bytes(4, "big") + packet.body


def _crc24(data: bytes) -> bytes:
    """RFC 9580, 6.1.1: older programs expect it."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc.to_bytes(3, "big")

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files in the format of Ansible Vault, written and read in parts: VaultLib holds a file in memory 19 times.

The format: a header line, then lines of 80 hexadecimal digits. Decoded these are three fields, hexadecimal again and
separated by line ends: the salt, the HMAC of the ciphertext, and the ciphertext (AES-256 in counter mode, padded to
blocks of 16 bytes). Source: Ansible documentation, "Ansible Vault payload format 1.1 - 1.2".
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
from binascii import hexlify, unhexlify
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import BinaryIO, Optional

# ansible-core's requirements are always installed, except where ansible-test imports each plugin alone.
with suppress(ImportError):
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

MAGIC = b"$ANSIBLE_VAULT"
_HEADER = MAGIC + b";1.1;AES256\n"
_LINE = 80
_PART = 2**20


class VaultWriter:
    """Encrypts what is written into `file`, which must be seekable. The file is complete after `finish`."""

    def __init__(self, file: BinaryIO, password: bytes) -> None:
        self._file = file
        self._salt = os.urandom(32)
        key, digest_key, counter = _keys(password, self._salt)
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
        self._digest = hmac.new(digest_key, digestmod=hashlib.sha256)
        self._padder = PKCS7(128).padder()
        file.write(_HEADER)
        self._left = b""  # digits that do not fill a line yet
        self._put(self._front())  # replaced in `finish`, when the digest is known

    def write(self, data: bytes) -> int:
        self._encrypt(self._padder.update(data))
        return len(data)

    def finish(self) -> None:
        self._encrypt(self._padder.finalize())
        self._file.write(self._left + b"\n" if self._left else b"")
        self._file.seek(len(_HEADER))
        self._file.write(b"\n".join(_lines(self._front())))

    def _encrypt(self, padded: bytes) -> None:
        ciphertext = self._cipher.update(padded)
        self._digest.update(ciphertext)
        self._put(hexlify(hexlify(ciphertext)))

    def _front(self) -> bytes:
        return hexlify(b"%s\n%s\n" % (hexlify(self._salt), hexlify(self._digest.digest())))

    def _put(self, digits: bytes) -> None:
        *lines, self._left = (*_lines(self._left + digits), b"")
        if lines and len(lines[-1]) < _LINE:
            self._left = lines.pop()
        self._file.write(b"".join(line + b"\n" for line in lines))


class PartReader:
    """A file for programs that call `read`, from its content in parts."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._part = io.BytesIO()

    def read(self, size: int) -> bytes:
        """`size` bytes, less at the end."""
        given = self._part.read(size)
        while len(given) < size and (part := next(self._parts, b"")):
            self._part = io.BytesIO(part)
            given += self._part.read(size - len(given))
        return given


def decrypted(file: BinaryIO, password: bytes) -> PartReader:
    salt, _digest, ciphertext = _fields(file)
    key, _digest_key, counter = _keys(password, salt)
    return PartReader(_decrypted(Cipher(algorithms.AES(key), modes.CTR(counter)), ciphertext))


def is_vault(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(len(MAGIC)) == MAGIC


def right_password(file: BinaryIO, passwords: Iterable[bytes]) -> Optional[bytes]:
    """The password whose digest the whole file has; None if there is none, or if the file is damaged."""
    try:
        salt, wanted, ciphertext = _fields(file)
        digests = {one: hmac.new(_keys(one, salt)[1], digestmod=hashlib.sha256) for one in passwords}
        for part in ciphertext:
            for digest in digests.values():
                digest.update(part)
    except ValueError:
        return None
    return next((one for one, digest in digests.items() if hmac.compare_digest(digest.digest(), wanted)), None)


def count_digits(file: BinaryIO) -> int:
    return sum(map(len, _digits(file)))


def _keys(password: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """The key of the cipher, that of the HMAC, and the counter's start."""
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, 10_000, 80)
    return derived[:32], derived[32:64], derived[64:]


def _lines(digits: bytes) -> list[bytes]:
    return [digits[start : start + _LINE] for start in range(0, len(digits), _LINE)]


def _digits(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    file.readline(1000)
    while part := file.read(_PART):
        yield part.translate(None, b"\r\n ")


def _fields(file: BinaryIO) -> tuple[bytes, bytes, Iterator[bytes]]:
    """The salt, the digest and the ciphertext in parts. Raises ValueError, also later, if the format is another."""
    decoded = _unhexed(_digits(file))
    front = b""
    while front.count(b"\n") < 2 and (part := next(decoded, b"")):
        front += part
    salt, digest, begin = front.split(b"\n", 2)
    return unhexlify(salt), unhexlify(digest), _unhexed(chain((begin,), decoded))


def _unhexed(parts: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for part in parts:
        digits = left + part
        even = len(digits) // 2 * 2
        left = digits[even:]
        if even:
            yield unhexlify(digits[:even])
    if left:
        raise ValueError("an odd number of digits")


def _decrypted(cipher: Cipher[modes.CTR], ciphertext: Iterable[bytes]) -> Iterator[bytes]:
    decryptor, unpadder = cipher.decryptor(), PKCS7(128).unpadder()
    for part in ciphertext:
        if plain := unpadder.update(decryptor.update(part)):
            yield plain
    yield unpadder.finalize()

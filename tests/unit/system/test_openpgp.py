"""The key of a package repository is the pinned one, whatever a mirror or the network sends."""

from __future__ import annotations

import base64
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.filter import pinned_key as plugin
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.openpgp import pinned_key

# Made with GnuPG for these tests, the first with a subkey.
ONE = "A15DEC9CD530BF887F792007FE0A20CAA357D8A9"
ONE_TEXT = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawrsthYJKwYBBAHaRw8BAQdAwImssmAkkG/rTvvgrpa4OGIpGMRHLfWHCe/5
LjKBNTi0IFJlcG9zaXRvcnkgb25lIDxvbmVAZXhhbXBsZS5jb20+iJAEExYIADgW
IQShXeyc1TC/iH95IAf+CiDKo1fYqQUCawrstgIbAwULCQgHAgYVCgkICwIEFgID
AQIeAQIXgAAKCRD+CiDKo1fYqRblAQD3skyGdokn4XqR6CjNQQxFMpwmeTjgoaVJ
h3zxBem4vQEA9gaNi3yFBa9C/fcezfOl8B+sko7WrSj5xdG25dvENgm4OARrCuy2
EgorBgEEAZdVAQUBAQdAx4d83ccGLqzV9zvuZWziDiDvH9x4PF02UjEo/o+WYQAD
AQgHiHgEGBYIACAWIQShXeyc1TC/iH95IAf+CiDKo1fYqQUCawrstgIbDAAKCRD+
CiDKo1fYqdiYAQDUfDSoU83bKJC5BKvoJvxD0+3uOK83Az0wWlKrOI4QPAD/fvpP
19JL4VH6hMT/Oi+k433LNexUWR764zNWs6GiFQw=
=LbYR
-----END PGP PUBLIC KEY BLOCK-----
"""
TWO = "FE7255A48D60EC8FFA5ED71F4E98459861F4559D"
TWO_TEXT = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawrsthYJKwYBBAHaRw8BAQdAaG88U/PIbNb0+TmZEO8p33RrewRR0ldCCaP0
lpUoYx60IFJlcG9zaXRvcnkgdHdvIDx0d29AZXhhbXBsZS5jb20+iJAEExYIADgW
IQT+clWkjWDsj/pe1x9OmEWYYfRVnQUCawrstgIbAwULCQgHAgYVCgkICwIEFgID
AQIeAQIXgAAKCRBOmEWYYfRVnSDTAQCG6TIlzUqb4e7qN9HQK18XxpIjJ/pYOEqG
bAfhXgmwbgD8DT0YJcmYVkupdoTDllRYVoRVw7UGVKbegkqgh42N3Qc=
=Y7Q0
-----END PGP PUBLIC KEY BLOCK-----
"""


def binary(text: str) -> bytes:
    lines = text.split("\n\n")[1].splitlines()
    return base64.b64decode("".join(line for line in lines if line[0] not in "=-"))


ONE_BYTES, TWO_BYTES = binary(ONE_TEXT), binary(TWO_TEXT)
NEW_FORM = bytes([0xC6, ONE_BYTES[1]]) + ONE_BYTES[2:]  # the first packet, with the other form of a head
LONG_HEAD = bytes([0xC6, 255, 0, 0, 0, ONE_BYTES[1]]) + ONE_BYTES[2:]


@pytest.mark.parametrize(
    "data",
    [
        ONE_TEXT.encode(),
        ONE_TEXT.replace("\n", "\r\n").encode(),
        ONE_TEXT.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: GnuPG v2\nComment: a b\n\n", 1).encode(),
        "".join(line for line in ONE_TEXT.splitlines(True) if not line.startswith("=")).encode(),  # no checksum
        ONE_BYTES,
        NEW_FORM,
        LONG_HEAD,
    ],
    ids=["text", "Windows", "head lines", "no checksum", "binary", "new form", "long head"],
)
def test_the_pinned_key_is_read_in_every_form_and_written_in_one(data: bytes) -> None:
    text = pinned_key(data, [ONE])
    assert text == pinned_key(text.encode(), [" ".join(ONE).lower()])
    assert text.splitlines()[0] == "-----BEGIN PGP PUBLIC KEY BLOCK-----"
    assert max(map(len, text.splitlines())) <= 64


@pytest.mark.parametrize(
    "data",
    [TWO_TEXT.encode(), ONE_BYTES + TWO_BYTES, (ONE_TEXT + TWO_TEXT).encode(), (TWO_TEXT + ONE_TEXT).encode()],
    ids=["another", "two keys", "two blocks", "two blocks, the other first"],
)
def test_another_key_is_refused_also_beside_the_pinned_one(data: bytes) -> None:
    with pytest.raises(FleetError, match=rf"^expected the key {ONE}, got .*{TWO}"):
        pinned_key(data, [ONE])


def test_one_of_several_fingerprints_is_enough() -> None:
    """While the owner of a repository changes its key."""
    assert pinned_key(ONE_BYTES, [ONE, TWO])
    assert pinned_key(ONE_BYTES + TWO_BYTES, [ONE, TWO])


def test_a_key_is_another_one_after_the_change_of_a_bit() -> None:
    for place in (3, 8, 20, len(binary(TWO_TEXT)[:40])):
        changed = bytearray(ONE_BYTES)
        changed[place] ^= 1
        with pytest.raises(FleetError):
            pinned_key(bytes(changed), [ONE])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>404 not found</html>",
        b"-----BEGIN PGP MESSAGE-----\n\nabcd\n-----END PGP MESSAGE-----\n",
        ONE_TEXT.encode()[:200],
        ("more text\n" + ONE_TEXT).encode(),
        (ONE_TEXT + "deb https://attacker.example /\n").encode(),
        ONE_TEXT.replace("mDME", "mD*E").encode(),
        ONE_TEXT.replace("mDME", "mDM").encode(),
        ONE_BYTES[:30],
        ONE_BYTES[:-1],
        ONE_BYTES + b"\x98",
        ONE_BYTES + b"\xc8\x01\x00",  # compressed data, in which a program may look for keys
        ONE_BYTES + b"\x95\x01\x04",  # a secret key
        b"\x9b" + ONE_BYTES[2:],  # a length that leaves the end open
        b"\xc6\xe1" + ONE_BYTES[2:],  # a partial length
        ONE_BYTES[ONE_BYTES[1] + 2 :],  # a user ID without its key
        b"\x98\x01\x03",  # version 3
        b"\x98\x00",
    ],
)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(FleetError, match=r"^expected "):
        pinned_key(data, [ONE, TWO])


def test_the_filter_takes_what_slurp_returns() -> None:
    pinned = plugin.FilterModule().filters()["pinned_key"]
    assert pinned(base64.b64encode(ONE_BYTES).decode(), [ONE]) == pinned_key(ONE_TEXT.encode(), [ONE])
    with pytest.raises(AnsibleFilterError, match=rf"expected the key {ONE}, got {TWO}"):
        pinned(base64.b64encode(TWO_BYTES).decode(), [ONE])


@pytest.mark.skipif(not shutil.which("gpg"), reason="needs GnuPG")
def test_gnupg_reads_the_same_fingerprint(tmp_path: Path) -> None:
    key = tmp_path / "key.asc"
    key.write_text(pinned_key(ONE_BYTES + TWO_BYTES, [ONE, TWO]))
    command = ["gpg", "--homedir", str(tmp_path), "--show-keys", "--with-colons", str(key)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    following = [after for line, after in itertools.pairwise(shown) if line.startswith("pub:")]
    assert [line.split(":")[9] for line in following] == [ONE, TWO]

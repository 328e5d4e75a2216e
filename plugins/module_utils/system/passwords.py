# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hashes of passwords (scrypt, RFC 7914): `scrypt$N$R$P$SALT$HASH`, with salt and hash in Base64."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Optional

# OWASP, "Password Storage Cheat Sheet": 16 MiB and five passes are as good as 128 MiB and one.
N, R, P = 1 << 14, 8, 5
MOST_MEMORY = 1 << 27  # bytes


def hashed(password: str, salt: Optional[bytes] = None, n: int = N, r: int = R, p: int = P) -> str:
    salt = salt or os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=MOST_MEMORY)
    return "$".join(["scrypt", str(n), str(r), str(p), *(base64.b64encode(one).decode() for one in (salt, digest))])


def is_password(password: str, stored: str) -> bool:
    """Whether `stored` is a hash of this password; False for text that is no hash."""
    try:
        _kind, n, r, p, salt, _digest = stored.split("$")
        found = hashed(password, base64.b64decode(salt), int(n), int(r), int(p))
    except ValueError:
        return False
    return hmac.compare_digest(found, stored)

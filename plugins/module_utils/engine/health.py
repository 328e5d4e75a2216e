# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an engine answers. A model may send anything at any speed: time and bytes of an answer are limited."""

from __future__ import annotations

import re
import socket
import time

from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT

SECONDS = 5
_MOST_BYTES = 100  # of the first line


def is_healthy(address: str, port: int = ENGINE_PORT, seconds: float = SECONDS) -> bool:
    """Whether /health answers 200 within `seconds`."""
    deadline = time.monotonic() + seconds
    line = b""
    try:
        with socket.create_connection((address, port), timeout=seconds) as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n\r\n".encode())
            while b"\n" not in line and len(line) < _MOST_BYTES:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                part = connection.recv(_MOST_BYTES)
                if not part:
                    return False
                line += part
    except OSError:
        return False
    return bool(re.match(rb"HTTP/1\.[01] 200\b", line))

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks an engine one question. A model may send anything at any speed: time and bytes of an answer are limited."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress
from threading import Timer

from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT

SECONDS = 300  # the first request to a model may compile
_MOST_BYTES = 16 << 20  # of an answer: an image


def answer(
    address: str, path: str, body: bytes, content_type: str, port: int = ENGINE_PORT, seconds: float = SECONDS
) -> tuple[int, bytes]:
    """The status and the content of the answer to a POST, or 0 and why there is none."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    timer = Timer(seconds, _cut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        connection.request("POST", path, body, {"Content-Type": content_type, "Connection": "close"})
        response = connection.getresponse()
        content = response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        late = not timer.is_alive()
        return 0, f"no answer within {seconds:g} s".encode() if late else str(error or type(error).__name__).encode()
    finally:
        timer.cancel()
        connection.close()
    return response.status, content


def _cut(connection: http.client.HTTPConnection) -> None:
    """The limit of a socket begins again with each byte."""
    with suppress(OSError):
        if connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)

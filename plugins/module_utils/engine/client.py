# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One request to a model as a client sends it: over HTTPS with a key, to Caddy on this host."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.engine.trial import judge, trial

_MOST_BYTES = 16 << 20
_PARTIAL_CHAIN = (
    0x80000  # X509_V_FLAG_PARTIAL_CHAIN: a certificate of the file needs no issuer; in ssl from Python 3.10
)


class Client:
    """A client of Caddy on this host.

    url: its base URL for clients, whose name its certificate must have. authority, file: certificates that sign
    Caddy's, or Caddy's own, as PEM text or in a file; without both, those of the system count.
    """

    def __init__(
        self,
        url: str,
        key: str,
        seconds: float,
        authority: Optional[str] = None,
        file: Optional[str] = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._url = urlsplit(url)
        self._key = key
        self._seconds = seconds
        self._address = address
        self._trust = ssl.create_default_context(cafile=file, cadata=authority)
        if authority or file:
            self._trust.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN)

    def fault(self, type: str, name: str, through_litellm: bool) -> Optional[str]:
        """Why the model does not answer its trial; None if it does. The key is not part of it."""
        path, body, content_type = trial(type, name)
        try:
            status, answer = self._post(path if through_litellm else f"/models/{name}{path}", body, content_type)
        except (OSError, http.client.HTTPException) as error:
            status, answer = 0, (str(error) or error.__class__.__name__).encode()
        return judge(type, status, answer.replace(self._key.encode(), b"***"))

    def _post(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._seconds
        host = self._url.hostname or ""
        connection = http.client.HTTPConnection(self._url.netloc)
        try:
            plain = socket.create_connection((self._address, self._url.port or 443), self._seconds)
            connection.sock = plain
            connection.sock = self._trust.wrap_socket(plain, server_hostname=host)
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": content_type, "Connection": "close"}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            parts = []
            while part := answer.read1(_MOST_BYTES):
                parts.append(part)
                if time.monotonic() > deadline or sum(map(len, parts)) > _MOST_BYTES:
                    raise TimeoutError(f"the answer did not end within {self._seconds:g} s and {_MOST_BYTES >> 20} MB")
            return answer.status, b"".join(parts)
        finally:
            connection.close()

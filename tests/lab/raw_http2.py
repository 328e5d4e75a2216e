"""Requests over HTTP/2 with headers that no client library would send."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from .raw import ANSWER_SECONDS, CLOSED, Answer

Headers = Sequence[tuple[bytes, bytes]]
GONE = (h2.events.StreamReset, h2.events.ConnectionTerminated)


class Http2Wire:
    """A connection for one request after another, reopened when the server closes it."""

    def __init__(self, address: str, certificate: str) -> None:
        self._address = address
        self._trust = ssl.create_default_context(cafile=certificate)
        self._trust.set_alpn_protocols(["h2"])
        self._socket: ssl.SSLSocket | None = None

    def exchange(self, headers: Headers, body: bytes = b"") -> Answer:
        """status: CLOSED if the server refuses the stream or the connection."""
        if self._socket is None:
            self._open()
        stream = self._state.get_next_available_stream_id()
        try:
            self._state.send_headers(stream, headers, end_stream=not body)
            if body:
                self._state.send_data(stream, body, end_stream=True)
            self._send()
            return self._hear(stream)
        except (OSError, h2.exceptions.ProtocolError):
            self.close()
            return Answer(CLOSED)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def _open(self) -> None:
        plain = socket.create_connection((self._address, 443), ANSWER_SECONDS)
        self._socket = self._trust.wrap_socket(plain, server_hostname=self._address)
        assert self._socket.selected_alpn_protocol() == "h2"
        config = h2.config.H2Configuration(
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            split_outbound_cookies=False,
        )
        self._state = h2.connection.H2Connection(config)
        self._state.initiate_connection()
        self._send()

    def _send(self) -> None:
        assert self._socket
        self._socket.sendall(self._state.data_to_send())

    def _hear(self, stream: int) -> Answer:
        assert self._socket
        status, body = CLOSED, b""
        while heard := self._socket.recv(65536):
            for event in self._state.receive_data(heard):
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.close()
                    return Answer(status, body)
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    self._state.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    self._send()
                    return Answer(status, body)
            self._send()
        self.close()
        return Answer(status, body)

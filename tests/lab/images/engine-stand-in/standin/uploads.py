"""Request bodies: read in blocks, so that an upload of any size takes no memory to speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from io import BufferedIOBase

BLOCK = 256 * 1024
LINE_LIMIT = 8 * 1024
FIELD_LIMIT = 1024 * 1024
"""Longest form field that is not a file, in bytes; Starlette, below vLLM, has the same limit."""


class Refused(Exception):
    """An error answer: HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HungUp(Exception):
    """The client is gone."""


class Body:
    """What follows the headers, whether its length is reported or it comes in chunks.

    Raises Refused where neither can be made sense of, HungUp where it ends too early.
    """

    def __init__(self, stream: BufferedIOBase, headers: Message) -> None:
        self._stream = stream
        encoding, length = headers.get("Transfer-Encoding"), headers.get("Content-Length", "0")
        self.chunked = encoding is not None
        if (self.chunked and "Content-Length" in headers) or (encoding or "chunked").lower() != "chunked":
            raise Refused(400, "Transfer-Encoding is not chunked alone")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "Content-Length is no number")
        self._left = int(length)
        self._done = not self.chunked and self._left == 0

    def blocks(self) -> Iterator[bytes]:
        """What has not been read so far."""
        while not self._done:
            if self.chunked and not self._left:
                self._left = self._next_chunk()
                if not self._left:
                    self._trailers()
                    self._done = True
                    return
            block = self._stream.read(min(BLOCK, self._left))
            if not block:
                raise HungUp
            self._left -= len(block)
            if not self._left:
                if self.chunked:
                    self._line()
                else:
                    self._done = True
            yield block

    def drain(self) -> None:
        for _block in self.blocks():
            pass

    def _next_chunk(self) -> int:
        size = self._line().partition(b";")[0].strip()
        try:
            return int(size, 16)
        except ValueError:
            raise Refused(400, "a chunk has no size") from None

    def _trailers(self) -> None:
        while self._line():
            pass

    def _line(self) -> bytes:
        line = self._stream.readline(LINE_LIMIT)
        if not line.endswith(b"\n"):
            raise HungUp
        return line.rstrip(b"\r\n")


@dataclass(frozen=True)
class Upload:
    """What is kept of a file: how much arrived, and what distinguishes it from another of that size."""

    size: int
    sha256: str


@dataclass
class Form:
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)


class _Scanner:
    """Cuts a stream at marks without ever holding more than a block of it."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._buffer = b"\r\n"  # the first boundary has no line break before it

    def before(self, mark: bytes) -> Iterator[bytes]:
        """What comes before the mark, in pieces; the mark itself is skipped."""
        keep = len(mark) - 1
        while (at := self._buffer.find(mark)) < 0:
            yield self._buffer[:-keep]
            self._buffer = self._buffer[-keep:]
            self._more()
        yield self._buffer[:at]
        self._buffer = self._buffer[at + len(mark) :]

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _more(self) -> None:
        block = next(self._blocks, b"")
        if not block:
            raise Refused(400, "There was an error parsing the body")
        self._buffer += block


def read_form(body: Body, headers: Message) -> Form:
    """The parts of a multipart/form-data body; raises Refused where it is none."""
    boundary = headers.get_boundary()
    if headers.get_content_type() != "multipart/form-data" or not boundary:
        raise Refused(400, "the body is not multipart/form-data")
    delimiter = b"\r\n--" + boundary.encode()
    scanner, form = _Scanner(body.blocks()), Form()
    for _preamble in scanner.before(delimiter):
        pass
    while scanner.take(2) != b"--":
        head = BytesHeaderParser().parsebytes(_bounded(scanner.before(b"\r\n\r\n"), LINE_LIMIT))
        name = str(head.get_param("name", "", "content-disposition"))
        content = scanner.before(delimiter)
        if head.get_param("filename", header="content-disposition") is not None:
            form.files[name] = _digest(content)
        else:
            form.fields[name] = _bounded(content, FIELD_LIMIT).decode(errors="replace")
    body.drain()
    return form


def _digest(pieces: Iterator[bytes]) -> Upload:
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return Upload(size, digest.hexdigest())


def _bounded(pieces: Iterator[bytes], limit: int) -> bytes:
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > limit:
            raise Refused(400, "Part exceeded maximum size")
    return bytes(whole)

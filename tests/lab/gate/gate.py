#!/usr/bin/env python3
"""A STAND-IN for Docker Engine 29 in front of an older engine: what 29.1 refuses and answers in another form.

  gate.py SOCKET SOCKET-OF-THE-ENGINE

Versions of the API below 1.44 are refused in the words of Docker Engine 29.1 (moby, api/server/middleware/version.go).
/version names its versions. From 1.52 on, an image is described without empty fields. A version
that the engine behind it does not know reaches that engine as the newest that it knows. All else is the engine's.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

RELEASE, LOWEST, HIGHEST = "29.1.3", (1, 44), (1, 52)
VERSIONED = re.compile(r"/v(\d+)\.(\d+)(/.*)")
LARGEST_HEAD = 1 << 20


class Refused(Exception):
    """The message of a 400."""


class Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Gate:
    def __init__(self, engine: str) -> None:
        self.engine = engine

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection: its requests one after the other, the engine's answers as they come."""
        try:
            from_engine, to_engine = await asyncio.open_unix_connection(self.engine, limit=LARGEST_HEAD)
        except OSError:
            writer.close()
            return
        answers = asyncio.create_task(pass_on(from_engine, writer))
        try:
            await self.requests(reader, writer, to_engine)
            to_engine.write_eof()
            await answers
        except (OSError, asyncio.IncompleteReadError):
            answers.cancel()
        finally:
            to_engine.close()
            writer.close()

    async def requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_engine: asyncio.StreamWriter
    ) -> None:
        while head := await head_of_request(reader):
            line, _end, fields = head.partition("\r\n")
            method, target, protocol = line.split(" ")
            length = re.search(r"(?im)^content-length: *(\d+)", fields)
            try:
                own = await asyncio.to_thread(self.own_answer, method, target)
                target = await asyncio.to_thread(self.known, target)
            except Refused as refusal:
                own = 400, {"message": str(refusal)}
            if own:
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(as_response(*own))
                await writer.drain()
                continue
            to_engine.write(f"{method} {target} {protocol}\r\n{fields}".encode("latin-1"))
            if re.search(r"(?im)^upgrade:", fields):  # from here on, the connection is a stream of its own
                await pass_on(reader, to_engine)
                return
            if re.search(r"(?im)^transfer-encoding: *chunked", fields):
                await pass_chunks(reader, to_engine)
            elif length:
                await pass_on(reader, to_engine, int(length[1]))
            await to_engine.drain()

    def own_answer(self, method: str, target: str) -> tuple[int, Any] | None:
        """Status and content of what the gate answers itself."""
        found = VERSIONED.fullmatch(target.partition("?")[0])
        version, path = ((int(found[1]), int(found[2])), found[3]) if found else (HIGHEST, target.partition("?")[0])
        if version < LOWEST:
            raise Refused(
                f"client version {text(version)} is too old. Minimum supported API version is {text(LOWEST)}, please "
                "upgrade your client to a newer version"
            )
        if version > HIGHEST:
            raise Refused(
                f"client version {text(version)} is too new. Maximum supported API version is {text(HIGHEST)}"
            )
        if method == "GET" and path == "/version":
            _status, found = self.ask("/version")
            return 200, {**found, "Version": RELEASE, "ApiVersion": text(HIGHEST), "MinAPIVersion": text(LOWEST)}
        if method == "GET" and version >= (1, 52) and re.fullmatch(r"/images/.+/json", path):
            status, found = self.ask(self.known(target))
            return status, without_empty(found)
        return None

    def known(self, target: str) -> str:
        """The target with a version that the engine knows."""
        found = VERSIONED.fullmatch(target)
        if not found:
            return target
        newest = tuple(map(int, self.ask("/version")[1]["ApiVersion"].split(".")))
        return f"/v{text(min(newest, (int(found[1]), int(found[2]))))}{found[3]}"

    def ask(self, path: str) -> tuple[int, Any]:
        connection = Connection(self.engine)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


async def head_of_request(reader: asyncio.StreamReader) -> str:
    """With its empty line, or empty at the end of the connection."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return ""


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int | None = None) -> None:
    """All, or so many bytes. The end of all is passed on too."""
    while size is None or size > 0:
        data = await reader.read(1 << 16 if size is None else min(size, 1 << 16))
        if not data:
            break
        writer.write(data)
        await writer.drain()
        size = None if size is None else size - len(data)
    if size is None and writer.can_write_eof():
        writer.write_eof()


async def pass_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        writer.write(line + await reader.readexactly(size + 2))
        await writer.drain()
        if not size:
            return


def as_response(status: int, content: Any) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} {http.client.responses[status]}\r\nApi-Version: {text(HIGHEST)}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def without_empty(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_empty(value) for key, value in data.items() if value not in (None, "", [], {})}
    return data


def text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


async def main(listen: str, engine: str) -> None:
    Path(listen).unlink(missing_ok=True)
    server = await asyncio.start_unix_server(Gate(engine).serve, listen, limit=LARGEST_HEAD)
    Path(listen).chmod(0o660)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Who wants to write lines of their own into the logs, or control the terminal of the admin who reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lab.fixtures import Door
from lab.raw import Wire
from testinfra.host import Host

MARK = "FORGED"
STARTS = ["\n", "\r\n", "\r", "\x1b[2J\x1b[31m", "\x9b31m", "\x85", "\u2028", "\x00\n", "\x08\x08"]
PATHS = ["/v1/models/%0a{}", "/v1/%0d%0a{}", "/{}%1b[31m", "/models/%0a{}/v1/models", "/v1/models?x=%0a{}%1b[2J"]
# Bytes that Caddy might accept in the value of a header: UTF-8 of the C1 control characters among them.
VALUES = [b"\x1b[31m", b"\xc2\x9b31m", b"\x9b31m", b"\xc2\x85", b"\x7f", b"\t", b"\x00", b"\r", b"\n "]
HEADERS = ["User-Agent", "X-Litellm-Call-Id", "X-Forwarded-For", "X-Request-Id", "Traceparent", "X-Litellm-Tags"]
CONTROLS = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f]")


def attack(door: Door, virtual_key: str) -> None:
    """Makes every attack, each with a number behind the mark."""
    for number, start in enumerate(STARTS):
        text = f"pair{start}{MARK}{number}"
        message = {"role": text, "content": text}
        for path in ("/v1", "/models/pair/v1", "/models/tiny-chat/v1", "/open/pair/v1"):
            for body in (
                {"model": text, "messages": [message]},
                {"model": "pair", "messages": [message], "user": text, "metadata": {text: text}, "tool_choice": text},
                {"model": "tiny-chat", "messages": [message], "guided_json": text, text: text},
            ):
                door.request(
                    "POST",
                    f"{path}/chat/completions",
                    key=None if path.startswith("/models") else virtual_key,
                    json=body,
                )
    for number, path in enumerate(PATHS):
        door.request("GET", path.format(f"{MARK}{number}"), key=virtual_key)
    body = json.dumps({"model": "absent", "messages": []}).encode()
    for header in HEADERS:
        for number, value in enumerate(VALUES):
            lines = {
                "Host": door.address.encode(),
                "Authorization": f"Bearer {virtual_key}".encode(),
                "Content-Type": b"application/json",
                "Content-Length": str(len(body)).encode(),
                header: b"x" + value + f"{MARK}{number}".encode(),
            }
            head = b"POST /v1/chat/completions HTTP/1.1\r\n"
            head += b"".join(name.encode() + b": " + one + b"\r\n" for name, one in lines.items())
            Wire(door.address, door.trust).exchange(head + b"\r\n" + body, "POST")


def logs(host: Host, since: str) -> Iterator[tuple[str, str]]:
    for name in host.check_output("docker ps --format '{{.Names}}'").split():
        for line in host.check_output(f"docker logs --since {since} {name} 2>&1").split("\n"):
            yield name, line


def test_a_client_writes_no_line_and_no_control_character_into_a_log(door: Door, host: Host, virtual_key: str) -> None:
    since = host.check_output("date +%s")
    attack(door, virtual_key)
    found = [(name, line) for name, line in logs(host, since) if MARK in line]
    assert found, "the attacks reached no log"
    assert [one for one in found if one[1].startswith(MARK)] == []
    assert [one for one in found if CONTROLS.search(one[1])] == []

"""Who hides a request in another: bodies whose length is told in two ways, lines that end in odd ones."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.fixtures import Door, requests_seen
from lab.raw import CLIENTS, CLOSED, Wire
from testinfra.host import Host

BASES = ("/models/pair/v1/chat/completions", "/v1/chat/completions", "/open/pair/v1/chat/completions")
REFUSED = (CLOSED, 400, 404, 411, 413, 417, 421, 501, 505)
HIDDEN = b"GET /v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
IN_A_CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
ENDED = b"0\r\n\r\n" + HIDDEN
WHOLE = b"Content-Length: %d\r\n" % len(ENDED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# What follows the head's first lines -> what comes after the head.
SHAPES: dict[str, tuple[bytes, bytes]] = {
    "both, the length for all": (WHOLE + CHUNKED, ENDED),
    "both, the length last": (CHUNKED + WHOLE, ENDED),
    "both, the length too short": (b"Content-Length: 4\r\n" + CHUNKED, IN_A_CHUNK),
    "both, the length nothing": (b"Content-Length: 0\r\n" + CHUNKED, IN_A_CHUNK),
    "chunks alone": (CHUNKED, ENDED),
    "chunks, ended twice": (CHUNKED, b"0\r\n\r\n0\r\n\r\n" + HIDDEN),
    "chunks, twice": (CHUNKED * 2, ENDED),
    "chunks, in two headers": (b"Transfer-Encoding: identity\r\n" + CHUNKED + WHOLE, ENDED),
    **{
        f"chunks, told as {told!r}": (b"Transfer-Encoding:" + told + b"\r\n" + WHOLE, ENDED)
        for told in (
            *(b" xchunked", b" chunkedx", b" Chunked", b" CHUNKED", b" cHuNkEd", b" chunked, identity", b" identity"),
            *(
                b" identity, chunked",
                b" gzip, chunked",
                b" chunked, chunked",
                b" chunked;q=1",
                b' "chunked"',
                b"chunked",
            ),
            *(
                b"\tchunked",
                b" chunked\t",
                b" \x0bchunked",
                b" chunked\x0c",
                b" chunked\0",
                b"\r\n chunked",
                b" chun\r\n ked",
            ),
            *(b" chunked\r", b"\rchunked", b" ,chunked", b" chunked,", b" {env.X}chunked", b" \xffchunked", b"", b" "),
        )
    },
    **{
        f"the header {name!r}": (name + b": chunked\r\n" + WHOLE, ENDED)
        for name in (
            *(b"Transfer-Encoding ", b"Transfer-Encoding\t"),
            *(b"Transfer-Encoding\0", b"Transfer\rEncoding", b"X: y\nTransfer-Encoding", b"X: y\rTransfer-Encoding"),
            *(b"TRANSFER-ENCODING", b"transfer-encoding", b"Transfer-Encoding\x0b", b'"Transfer-Encoding"'),
        )
    },
    **{
        f"a length of {length!r}": (b"Content-Length:" + length + b"\r\n", HIDDEN)
        for length in (
            *(b" +5", b" -5", b" -0", b" 0x5", b" 5,5", b" 5, 6", b" 5 5", b" 5;", b" 5.0", b" 5e0", b" 1_0", b" five"),
            *(
                b"",
                b" ",
                b' "5"',
                b" 5\x0b",
                b" 5\0",
                b" \xd9\xa5",
                b" 99999999999999999999",
                b" 0\r\nContent-Length: 5",
            ),
            *(b" 5\r\nContent-Length: 6", b" 5\r\nContent-Length: 0", b" 5\rContent-Length: 6", b" {env.X}5"),
        )
    },
    **{
        f"the length as {name!r}": (name + b": 0\r\n", HIDDEN)
        for name in (
            b"Content-Length ",
            b"Content-Length\t",
            b" Content-Length: 5\r\nContent-Length ",
            b"Content-Length\0",
        )
    },
    "a chunk's length that ends in a newline alone": (CHUNKED, b"0\n\n" + HIDDEN),
    "a chunk's length in odd digits": (CHUNKED, b"0x0\r\n\r\n" + HIDDEN),
    "a chunk's extension": (CHUNKED, b"0;a=\r\nb\r\n\r\n" + HIDDEN),
    "trailers": (CHUNKED + b"Trailer: Content-Length\r\n", b"0\r\nContent-Length: 60\r\n\r\n" + HIDDEN),
    "a length and an expectation": (b"Content-Length: 5, 5\r\nExpect: 100-continue\r\n", HIDDEN),
}


def seen(host: Host) -> list[str]:
    """What engines were asked for, their own metrics aside."""
    return [one["path"] for replica in (1, 2) for one in requests_seen(host, "pair", replica)]


@pytest.fixture(autouse=True)
def every_client_gets_its_own_answer(door: Door, host: Host) -> Iterator[None]:
    """Afterwards, over connections to the engines that were in use."""
    yield
    assert not any("smuggled" in path for path in seen(host))
    for _turn in range(5):
        assert door.request("GET", "/models/pair/v1/models").status_code == 200
        assert door.request("GET", "/models/pair/v1/absent").status_code == 404


def head(door: Door, base: str, method: str = "POST") -> bytes:
    lines = (
        f"{method} {base} HTTP/1.1",
        f"Host: {door.address}",
        f"Authorization: Bearer {door.key}",
        "Content-Type: x/y",
    )
    return "".join(line + "\r\n" for line in lines).encode()


# The end of all, at which the server hangs up.
LAST = b"GET /absent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("base", BASES)
def test_requests_one_after_the_other_are_answered_one_by_one(door: Door, base: str) -> None:
    body = b'{"model": "pair", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}'
    request = head(door, base).replace(b"x/y", b"application/json") + b"Content-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    assert Wire(door.address, door.trust).statuses(request + request + LAST) == [200, 200, 404]


def test_a_length_that_can_be_read_in_two_ways_is_refused(door: Door, host: Host) -> None:
    asked_for = [("POST", base) for base in ("/models/pair/v1/absent", *BASES[1:])]
    asked_for += [(method, "/models/pair/v1/refused") for method in ("GET", "DELETE")]
    asked_for += [("POST", "/open/pair/v1/refused")]
    tried = [(method, base, shape) for method, base in asked_for for shape in SHAPES]

    def statuses(one: tuple[str, str, str]) -> list[int]:
        method, base, shape = one
        lines, body = SHAPES[shape]
        return Wire(door.address, door.trust).statuses(head(door, base, method) + lines + b"\r\n" + body + LAST)

    with ThreadPoolExecutor(CLIENTS) as pool:
        got = dict(zip(tried, pool.map(statuses, tried), strict=True))
    taken = {
        one: heard
        for one, heard in got.items()
        if not heard or heard[0] not in REFUSED or any(status < 400 for status in heard)
    }
    assert taken == {}
    # A body in chunks is read as chunks whatever length is told too (RFC 9112, 6.3), and nothing after it is.
    assert {name: heard for (method, _base, name), heard in got.items() if "chunk" in name and len(heard) > 1} == {}
    assert not any("refused" in path for path in seen(host)), "the door itself refused"


def test_a_folded_line_is_part_of_the_header_before_it(door: Door) -> None:
    """RFC 9112, 5.2. What reaches the engine is one line, and has one length."""
    stream = head(door, "/models/pair/v1/absent") + b" Transfer-Encoding: chunked\r\n" + WHOLE + b"\r\n" + ENDED
    assert Wire(door.address, door.trust).statuses(stream + LAST) == [404, 404]


def test_a_client_that_breaks_off_its_upload_holds_up_nobody(door: Door) -> None:
    """The engine's answer is missing then, which is no sign that the engine is."""
    wire = Wire(door.address, door.trust)
    wire.break_off(head(door, "/models/slow/v1/chat/completions") + b"Content-Length: 100\r\n\r\nhalf of it")
    answer = door.request("GET", "/models/slow/v1/models")
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < 0.5


@pytest.mark.parametrize(("base", "limit"), zip(BASES, (512, 32, 32), strict=True))
def test_a_body_over_the_limit_is_refused_before_any_of_it_is_read(door: Door, base: str, limit: int) -> None:
    length = b"Content-Length: %d000001\r\n\r\n" % limit
    answer = Wire(door.address, door.trust).exchange(head(door, base) + length, "POST")
    assert answer.status == 413
    assert b"the limit is %d MB" % limit in answer.body

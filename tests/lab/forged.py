"""Authorization headers that resemble the right one, or contain syntax of a parser, and must be refused."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

Lines = tuple[bytes, ...]

SEED = 20261124
WELL_FORMED = re.compile(rb"Authorization: (?i:bearer)[ \t]+([!-~]+)[ \t]*")
TYPICAL = 50  # alterations of each sort, per key
FUZZ = 200
AROUND = (
    *("\"'`", "'", '"', "`", "{", "}", "{}", "<", ">", "[", "]", "(", ")", ",", ";", ":", ".", "..", "/", "\\", "|"),
    *("*", "+", "?", "^", "$", ".*", ".+", "#", "//", "&", "=", "==", "!", "~", "@", "%", "%s", "-", "--", "_", "x"),
    *("%0a", "%0d%0a", "%00", "%20", "%09", "\\n", "\\r\\n", "\\u000a", "\\x0a", "\\0", "&#10;", "$IFS", "{$HOME}"),
    *("||true", "&&true", "\\Q", "\\E", "(?i)", "{1}", "\0", "\x01", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\xa0"),
    *("\xff", "\xe2\x80\x8b", "\xc2\xa0", "\xef\xbb\xbf"),
)
SCHEMES = (
    *(
        "bearer ",
        "BEARER ",
        "bEARER ",
        "Bearer  ",
        "Bearer\t",
        "Bearer\t ",
        "Bearer \t",
        "Bearer",
        "Bearer:",
        "Bearer=",
    ),
    *("Bearer: ", "Bearer, ", "Bearer,", "Bearer Bearer ", "Bearer token=", "Bearer realm=x, ", "Bearer x, Bearer "),
    *(
        "Bearer x,Bearer ",
        "Bearer x Bearer ",
        "Token ",
        "Basic ",
        "Digest ",
        "ApiKey ",
        "Negotiate ",
        "AWS ",
        "Key ",
        "",
    ),
    *("Beare ", "earer ", "Bearer\xa0", "Bearer\x0b", "Bearer\x0c", "Bearer%20", "Bearer+", "Bearer\0", "Bearer \xa0"),
    *("Bearer \0", "\xa0Bearer ", "{Bearer} ", '"Bearer" ', "'Bearer ", '"Bearer ', "-\nBearer ", "\\nBearer "),
    *("9999999999 Bearer ", "0 Bearer ", "- Bearer ", "Bearer 9999999999 Bearer ", "Bearer - Bearer "),
)
OTHER_HEADERS = (
    *(
        "X-Authorization",
        "Proxy-Authorization",
        "X-Original-Authorization",
        "X-Forwarded-Authorization",
        "Authorization_",
    ),
    *(
        "Authorization2",
        "Authorisation",
        "X-Api-Key",
        "Api-Key",
        "X-Litellm-Api-Key",
        "X-Litellm-Key",
        "X-Goog-Api-Key",
    ),
    *("Ocp-Apim-Subscription-Key", "X-Auth-Token", "Token", "Key", "Cookie", "Cookie2", "WWW-Authenticate", "Trailer"),
    *("Sec-WebSocket-Protocol", "X-HTTP-Method-Override", "X-Original-URL", "X-Forwarded-For", "Authorization-Bearer"),
)
SYNTAX = (
    *(f"{{file./etc/caddy/keys/{name}}}" for name in ("master", "direct", "litellm", "open_key", "previous-direct")),
    *("{http.request.header.Authorization}", "{http.request.header.*}", "{http.request.host}", "{http.vars.root}"),
    *("{env.HOME}", "{$HOME}", "$HOME", "${HOME}", "$$", "{system.hostname}", "{time.now.unix}", "{re.model.1}", "{}"),
    *("{{env.HOME}}", "{{7*7}}", "{%raw%}", "${7*7}", "$(id)", "`id`", "#{7*7}", "<%=7*7%>", "{0.__class__}", "%s%n"),
    *("os.environ/LITELLM_MASTER_KEY", "os.environ/DATABASE_URL", "LITELLM_MASTER_KEY", "/etc/caddy/keys/master"),
    *("../../etc/caddy/keys/master", "file:///etc/caddy/keys/master", "file./etc/caddy/keys/master"),
    *("-", "--", "\\n-\\n", "123", "0", "-1", "1e9", "9999999999", "true", "false", "null", "None", "undefined", "NaN"),
    *(
        '"',
        '""',
        "''",
        "``",
        '"||true||"',
        '")||true//',
        '")||("1"=="1',
        "\\",
        "\\\\",
        '\\"',
        "\\n",
        '\\n"+"',
        "\\u000a",
    ),
    *('").contains("")||("', 'x".matches(".*")', "'+'", "true||true", "1==1", 'size("")==0', 'ph(req,"env.HOME")'),
    *(
        ".",
        ".*",
        ".+",
        "^.*$",
        "^",
        "$",
        "[!-~]+",
        "[\\s\\S]*",
        "(?s).*",
        "(.*)",
        "a|b",
        "\\w+",
        "(((((",
        "[",
        "*",
        "**",
    ),
    *("'OR'1'='1", "sk-'OR'1'='1'--", "sk-%", "%", "_", "sk-", "sk-*", "sk-1234", "sk-;DROP", "'||(SELECT'x')||'"),
    *("{}", "[]", "[null]", '{"key":"sk-1234"}', '{"$ne":null}', "<script>", "&lt;", "%7B%7D", "%00", "%0a", "%0d%0a"),
    *("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "a.b.c", "..", "admin", "master", "default", "EMPTY", "anonymous"),
)
LENGTHS = (1, 2, 1000, 8000, 31_000, 65_536)


def forged(keys: Sequence[str], seed: int = SEED) -> list[Lines]:
    """Lines of a request's head, the same every time. keys: all that are right.

    Left out is what means the right thing: blanks around a header's value are no part of it (RFC 9110, 5.5), and the
    scheme may have any case (RFC 9110, 11.1).
    """
    dice = random.Random(seed)
    right = {key.encode() for key in keys}
    found: dict[Lines, None] = {}
    for key in keys:
        found |= dict.fromkeys(_header(f"Bearer {value}") for value in _altered(key, dice))
        found |= dict.fromkeys(_shaped(key))
    for value in (*SYNTAX, *("a" * length for length in LENGTHS), *("sk-" + "a" * length for length in LENGTHS)):
        found |= {_header(f"Bearer {value}"): None, _header(value): None}
    found |= {(): None, _header(""): None, _header("Bearer"): None, _header("Bearer "): None, _header(" , "): None}
    found |= dict.fromkeys(_random(dice))
    return [lines for lines in found if not (len(lines) == 1 and _key(lines[0]) in right)]


def _key(line: bytes) -> bytes:
    match = WELL_FORMED.fullmatch(line)
    return match[1] if match else b""


def well_formed(lines: Lines) -> bool:
    """Whether it is what a client with some key sends."""
    reported = [line for line in lines if line.lower().startswith(b"authorization:")]
    return len(reported) == 1 and WELL_FORMED.fullmatch(reported[0]) is not None


def _header(value: str) -> Lines:
    return (b"Authorization: " + value.encode("latin-1"),)


def _altered(key: str, dice: random.Random) -> Iterator[str]:
    """Values that are similar to the key, or derived from it."""
    places = range(len(key))
    other = "ABCxyz019-_.$"
    for of_a_sort in (
        [key[:place] for place in places],
        [key[place:] for place in places[1:]],
        [key[:place] + key[place + 1 :] for place in places],
        [key[:place] + key[place].swapcase() + key[place + 1 :] for place in places],
        [key[:place] + dice.choice(other) + key[place + 1 :] for place in places],
        [key[:place] + dice.choice(other) + key[place:] for place in range(len(key) + 1)],
        [key[:place] + key[place : place + 2][::-1] + key[place + 2 :] for place in places],
        [key[place:] + key[:place] for place in places],
    ):
        yield from dice.sample(of_a_sort, min(TYPICAL, len(of_a_sort)))
    for around in AROUND:
        yield from (around + key, key + around, around + key + around)
    for inside in AROUND[::4]:
        yield key[: len(key) // 2] + inside + key[len(key) // 2 :]
    yield from (key * 2, f"{key},{key}", f"{key};{key}", f"{key}\\n{key}", key[::-1], key.lower(), key.upper())
    yield from (key.title(), key.swapcase(), key + "a" * 1000, "a" * 1000 + key, key.removeprefix("sk-"), "sk-" + key)
    encoded = key.encode()
    yield from (
        base64.b64encode(encoded).decode(),
        encoded.hex(),
        quote(key, safe=""),
        "".join(f"%{b:02x}" for b in encoded),
    )
    yield from (
        hashlib.sha256(encoded).hexdigest(),
        "sk-" + hashlib.sha256(encoded).hexdigest(),
        hashlib.md5(encoded).hexdigest(),
    )
    yield from (
        re.escape(key),
        f"\\Q{key}\\E",
        f"({key}|x)",
        f"{key[:-1]}.",
        f"{key[:-1]}*",
        f"{key[:-1]}%",
        f"{key[:-1]}?",
    )


def _shaped(key: str) -> Iterator[Lines]:
    """Other headers with the right key."""
    yield from (_header(scheme + key) for scheme in SCHEMES)
    basic = [
        base64.b64encode(text.encode()).decode() for text in (key, f"{key}:", f":{key}", f"Bearer {key}", f"u:{key}")
    ]
    yield from (_header(f"Basic {text}") for text in basic)
    for after in (" x", "\tx", " " + key, ", Bearer x", ",Bearer x", ";x", " ,", " -", "\nX", " HTTP/1.1", " \0", "\0"):
        yield _header(f"Bearer {key}{after}")
    (right,) = _header(f"Bearer {key}")
    wrong = b"Authorization: Bearer sk-wrong"
    for more in (
        wrong,
        right,
        b"Authorization:",
        b"Authorization: x",
        b"Authorization: Bearer",
        b"Authorization: Bearer -",
    ):
        yield from ((right, more), (more, right), (right, more, more), (more, more, right), (more, right, more))
    yield from (
        (right, right.swapcase()),
        (right.replace(b"Auth", b"auth"), wrong),
        (wrong, right.replace(b"Auth", b"auth")),
    )
    value = f"Bearer {key}".encode()
    yield (b"Authorization: Bearer x", b"Authorization: " + key.encode())
    yield (b"Authorization: Bearer", b"Authorization: " + key.encode())
    for name in (
        b"Authorization ",
        b"Authorization\t",
        b" Authorization",
        b"\tAuthorization",
        b"Authorization\0",
        b"Auth orization",
    ):
        yield (name + b": " + value,)
    for name in OTHER_HEADERS:
        yield (f"{name}: ".encode() + value,)
        yield (wrong, f"{name}: ".encode() + value, f"{name}: {key}".encode())
    yield (wrong, b"Connection: Authorization", b"X-Authorization: " + value)
    half = len(key) // 2
    for folded in (
        f"Bearer x\r\n {key}",
        f"Bearer {key}\r\n x",
        f"Bea\r\n rer {key}",
        f"Bearer {key[:half]}\r\n {key[half:]}",
    ):
        yield from (_header(folded), _header(folded.replace("\r\n ", "\r\n\t")), _header(folded.replace("\r\n", "\n")))
        yield _header(folded.replace("\r\n", "\r"))
    yield (b"X-Filler: x\r\n " + right,)
    yield (b"X-Filler: x\r" + right,)
    yield (b"X-Filler: x\0\r\n" + right,)


def _random(dice: random.Random) -> Iterator[Lines]:
    printable, rest = bytes(range(33, 127)), bytes(set(range(256)) - {10, 13})
    for _one in range(FUZZ):
        letters = dice.choice((printable, printable, rest, b"{}$%\"'\\`|&;()[]<>.*+?^#", b"sk-0123456789abcdef"))
        value = bytes(dice.choice(letters) for _letter in range(dice.randint(1, 80))).strip()
        yield (b"Authorization: Bearer " + value,)

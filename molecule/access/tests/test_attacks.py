"""Who tries to get in without a key: Authorization headers by the thousand, over raw connections and HTTP/2."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from lab.fixtures import SECRETS, Door
from lab.forged import SEED, Lines, forged, well_formed
from lab.raw import CLOSED, Wire, exchange_all
from testinfra.host import Host

REFUSED = {CLOSED, 400, 401, 403, 404, 431}
ASKED_OF_LITELLM = 200  # it takes 40 ms of CPU for each that it does not know
VARIANTS = 1000


@pytest.fixture(scope="module")
def keys(door: Door, host: Host) -> dict[str, list[str]]:
    """Base path -> the keys that open it; of an open one, keys that are right elsewhere."""

    def secret(name: str) -> str:
        return host.check_output(f"cat {SECRETS}/{name}")

    return {
        "/v1": [door.key, f"{secret('open_key')}-pair"],
        "/models/pair/v1": [door.key, secret("direct-awkward"), secret("direct-made")],
        "/open/pair/v1": [door.key, secret("direct-made")],
    }


def request(door: Door, base: str, lines: Lines) -> bytes:
    head = (f"GET {base}/models HTTP/1.1\r\nHost: {door.address}\r\nAccept: */*".encode(), *lines)
    return b"\r\n".join(head) + b"\r\n\r\n"


def right(key: str) -> Lines:
    return (f"Authorization: Bearer {key}".encode(),)


def statuses(door: Door, base: str, tried: Sequence[Lines]) -> list[int]:
    return [one.status for one in exchange_all(door.address, door.trust, [request(door, base, one) for one in tried])]


def got_in(door: Door, base: str, tried: Sequence[Lines]) -> list[tuple[int, int]]:
    """The number of each header that was not refused, and what it got. (The header itself may hold a key.)"""
    got = enumerate(statuses(door, base, tried))
    return [(number, status) for number, status in got if status not in REFUSED]


def check_that_all_open(door: Door, base: str, known: Sequence[str]) -> None:
    assert statuses(door, base, [right(key) for key in known]) == [200] * len(known)


def test_there_are_enough_variants_and_they_are_the_same_each_time(keys: dict[str, list[str]]) -> None:
    for base, known in keys.items():
        assert len(forged(known)) > VARIANTS, base
        assert forged(known) == forged(known)


def test_no_variant_of_a_key_gets_past_the_door(door: Door, keys: dict[str, list[str]]) -> None:
    known = keys["/models/pair/v1"]
    check_that_all_open(door, "/models/pair/v1", known)
    assert got_in(door, "/models/pair/v1", forged(known)) == []
    check_that_all_open(door, "/models/pair/v1", known)


def test_no_variant_of_a_key_gets_past_the_door_and_litellm(door: Door, keys: dict[str, list[str]]) -> None:
    known = keys["/v1"]
    tried = forged(known)
    passed_on = [lines for lines in tried if well_formed(lines)]
    kept = random.Random(SEED).sample(passed_on, ASKED_OF_LITELLM)
    check_that_all_open(door, "/v1", known)
    assert got_in(door, "/v1", [lines for lines in tried if not well_formed(lines)] + kept) == []
    check_that_all_open(door, "/v1", known)


def test_nothing_but_a_bearer_token_opens_an_open_model(door: Door, keys: dict[str, list[str]]) -> None:
    tried = [lines for lines in forged(keys["/open/pair/v1"]) if not well_formed(lines)]
    assert len(tried) > 300
    check_that_all_open(door, "/open/pair/v1", ["any"])
    assert got_in(door, "/open/pair/v1", tried) == []


@pytest.mark.parametrize("base", ["/v1", "/models/pair/v1"])
def test_blanks_around_a_header_s_value_are_no_part_of_it(door: Door, base: str) -> None:
    """RFC 9110, 5.5, and RFC 9112, 5.2, for a line that is folded at a blank."""
    for value in (f" \t Bearer {door.key}\t ", f"\r\n Bearer {door.key}", f" Bearer\r\n {door.key}"):
        answer = Wire(door.address, door.trust).exchange(request(door, base, (f"Authorization:{value}".encode(),)))
        assert answer.status == 200


@pytest.mark.parametrize("base", ["/v1", "/models/pair/v1", "/open/pair/v1"])
def test_a_refusal_shows_no_key(door: Door, keys: dict[str, list[str]], base: str) -> None:
    near = [f"Authorization: Bearer {key}{end}".encode() for key in keys[base] for end in ("x", " x", '"', "}")]
    answers = exchange_all(door.address, door.trust, [request(door, base, (line,)) for line in near])
    for answer in answers:
        assert not any(key.encode() in answer.body for key in keys[base])


def test_the_keys_of_one_route_do_not_open_another(door: Door, keys: dict[str, list[str]]) -> None:
    _master, virtual = keys["/v1"]
    _master, *direct = keys["/models/pair/v1"]
    assert got_in(door, "/models/pair/v1", [right(virtual)]) == []
    assert got_in(door, "/v1", [right(key) for key in direct]) == []

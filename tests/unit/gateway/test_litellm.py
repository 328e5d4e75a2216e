"""LiteLLM's API over HTTP, against a FAKE that listens on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway import litellm as api
from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import Action
from ansible_collections.inference.fleet.plugins.module_utils.gateway.litellm import LiteLLM, NoAnswer
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.gateway.fake_docker import FakeDocker
from ansible_collections.inference.fleet.tests.unit.gateway.fake_litellm import MASTER_KEY, FakeLiteLLM, error, serve
from ansible_collections.inference.fleet.tests.unit.samples import faults

VALUE = "sk-0123456789abcdef"


@pytest.fixture
def fake() -> FakeLiteLLM:
    return FakeLiteLLM()


@pytest.fixture
def port(fake: FakeLiteLLM) -> Iterator[int]:
    with serve(fake) as port:
        yield port


@pytest.fixture
def master_key_file(tmp_path: Path) -> Path:
    file = tmp_path / "master_key"
    file.write_text(f"{MASTER_KEY}\n")
    return file


@pytest.fixture
def litellm(port: int, master_key_file: Path) -> LiteLLM:
    return LiteLLM(FakeDocker(), "litellm", str(master_key_file), port)


def create(alias: str = "app", **changes: Any) -> Action:
    return Action("create", alias, "missing", {name: (None, after) for name, after in changes.items()})


def as_reported(fake: FakeLiteLLM, litellm: LiteLLM, path: str, status: int, answer: Any) -> str:
    """The fault for this answer of LiteLLM."""
    fake.says[path] = lambda: (status, answer)
    (fault,) = faults(litellm.create, create(), VALUE) if path == "/key/generate" else faults(litellm.keys)
    return fault


def aliases(litellm: LiteLLM) -> set[str | None]:
    found = litellm.keys()
    return {key.alias for key in found}


# The list


@pytest.mark.parametrize(("count", "lists"), [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_reads_every_page(fake: FakeLiteLLM, litellm: LiteLLM, count: int, lists: int) -> None:
    for number in range(count):
        fake.add(f"key-{number}", f"sk-{number:020}")
    assert aliases(litellm) == {f"key-{number}" for number in range(count)}
    assert fake.lists == lists


def test_reads_again_where_a_key_went_between_two_pages(
    fake: FakeLiteLLM, litellm: LiteLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first key of the second page moves to the end of the first page, and would be missed."""
    for number in range(150):
        fake.add(f"key-{number}", f"sk-{number:020}")
    whole = fake.list

    def then_one_goes(page: int, size: int) -> dict[str, Any]:
        answer = whole(page, size)
        if fake.lists == 1:
            del fake.keys[next(reversed(fake.keys))]
        return answer

    monkeypatch.setattr(fake, "list", then_one_goes)
    assert aliases(litellm) == {f"key-{number}" for number in range(149)}


def test_gives_up_where_the_list_never_stands_still(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    fake.says["/key/list"] = lambda: (200, {"keys": [{"token": "a"}], "total_count": 2, "total_pages": 1})
    assert faults(litellm.keys) == ["LiteLLM's keys changed while they were read; is another run active? Run again"]


# What is sent


def test_makes_a_key_with_its_settings(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    litellm.create(create(models=("a", "b"), max_budget=5.0, metadata={"ü": None}), VALUE)
    assert fake.journal == [
        (
            "/key/generate",
            {"key": VALUE, "key_alias": "app", "models": ["a", "b"], "max_budget": 5.0, "metadata": {"ü": None}},
        )
    ]


def test_changes_only_what_is_to_change_and_null_is_the_default(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    token = fake.add("app", VALUE, max_budget=5.0, rpm_limit=7)["token"]
    litellm.update(Action("update", "app", "", {"max_budget": (5.0, None)}, token))
    assert fake.journal == [("/key/update", {"key": token, "max_budget": None})]
    assert (fake.by_alias("app")["max_budget"], fake.by_alias("app")["rpm_limit"]) == (None, 7)


def test_deletes_by_token(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    token = fake.add("app", VALUE)["token"]
    fake.add("other", "sk-fedcba9876543210")
    litellm.delete(Action("delete", "app", "", {}, token))
    assert [row["key_alias"] for row in fake.keys.values()] == ["other"]


def test_an_expiry_is_sent_as_whole_seconds_from_now() -> None:
    now = datetime(2026, 11, 24, 12, 0, 0, 500000, tzinfo=UTC)
    for moment, duration in ((now + timedelta(seconds=90.2), "91s"), (now - timedelta(days=1), "0s"), (None, None)):
        assert api.settings(create(expires=moment), now) == {"duration": duration}


def test_proxies_of_the_environment_are_not_asked(
    fake: FakeLiteLLM, litellm: LiteLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert litellm.keys() == ()


# What goes wrong


def test_a_container_that_is_missing_is_reported(master_key_file: Path) -> None:
    assert faults(LiteLLM, FakeDocker(None), "litellm", str(master_key_file)) == [
        "there is no container litellm on this host; inference.fleet.install creates it"
    ]


@pytest.mark.parametrize("status", ["exited", "created", "restarting", "paused"])
def test_a_container_that_does_not_run_is_reported(master_key_file: Path, status: str) -> None:
    assert faults(LiteLLM, FakeDocker(status=status), "litellm", str(master_key_file)) == [
        f"container litellm is {status}, not running; its log may say why (docker logs litellm)"
    ]


def test_a_container_without_an_address_is_reported(master_key_file: Path) -> None:
    assert faults(LiteLLM, FakeDocker(address=None), "litellm", str(master_key_file)) == [
        "container litellm is in no Docker network, so it has no address"
    ]


def test_a_litellm_that_does_not_listen_yet_is_reported(master_key_file: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        litellm = LiteLLM(FakeDocker(), "litellm", str(master_key_file), unused.getsockname()[1])
        with pytest.raises(NoAnswer, match=r"LiteLLM does not answer in container litellm: .*Connection refused; its"):
            litellm.keys()


def test_a_litellm_that_takes_too_long_is_reported(master_key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "CALL_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        litellm = LiteLLM(FakeDocker(), "litellm", str(master_key_file), silent.getsockname()[1])
        with pytest.raises(NoAnswer, match="timed out"):
            litellm.keys()


def test_a_litellm_that_speaks_something_else_is_reported(master_key_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def speak() -> None:
            connection = other.accept()[0]
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=speak)
        thread.start()
        litellm = LiteLLM(FakeDocker(), "litellm", str(master_key_file), other.getsockname()[1])
        with pytest.raises(NoAnswer, match="LiteLLM does not answer"):
            litellm.keys()
        thread.join()


def test_another_master_key_is_reported_with_its_file(litellm: LiteLLM, master_key_file: Path, port: int) -> None:
    master_key_file.write_text("sk-another-master-key")
    (fault,) = faults(LiteLLM(FakeDocker(), "litellm", str(master_key_file), port).keys)
    assert fault == (
        f"LiteLLM in container litellm does not accept the master key of {master_key_file}: "
        "it was started with another one; run install, which restarts LiteLLM with that key"
    )


def test_a_missing_file_of_the_master_key_is_reported(tmp_path: Path) -> None:
    assert faults(LiteLLM, FakeDocker(), "litellm", f"{tmp_path}/none") == [
        f"{tmp_path}/none: LiteLLM's master key cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize("text", ["", "\n", "sk-a\nsk-b", "sk-\x01", "sk-ü"])
def test_a_file_that_holds_no_key_is_reported_and_not_shown(master_key_file: Path, text: str) -> None:
    """Python's http.client would show an invalid header in its error."""
    master_key_file.write_text(text)
    assert faults(LiteLLM, FakeDocker(), "litellm", str(master_key_file)) == [
        f"{master_key_file}: expected LiteLLM's master key, one line of printable ASCII"
    ]


@pytest.mark.parametrize(
    ("status", "answer", "reported"),
    [
        (400, error("Invalid duration", 400), "LiteLLM: /key/generate: Invalid duration (HTTP 400)"),
        (400, error("{'error': \"Invalid 'x'.\"}", 400), "LiteLLM: /key/generate: Invalid 'x'. (HTTP 400)"),
        (404, {"detail": "Not Found"}, "LiteLLM: /key/generate: Not Found (HTTP 404)"),
        (
            422,
            {"detail": [{"loc": ["body"], "msg": "bad"}]},
            "LiteLLM: /key/generate: [{'loc': ['body'], 'msg': 'bad'}] (HTTP 422)",
        ),
        (500, "Internal Server Error", "LiteLLM: /key/generate: Internal Server Error (HTTP 500)"),
        (503, "", "LiteLLM: /key/generate: nothing (HTTP 503)"),
        (200, "<html>", "LiteLLM: /key/generate: <html> (HTTP 200)"),
        (400, ["x"], 'LiteLLM: /key/generate: ["x"] (HTTP 400)'),
    ],
)
def test_its_own_words_are_reported(
    fake: FakeLiteLLM, litellm: LiteLLM, status: int, answer: Any, reported: str
) -> None:
    assert as_reported(fake, litellm, "/key/generate", status, answer) == reported


def test_no_key_is_shown_even_if_litellm_does(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    answer = error(f"{VALUE} is no good, says {MASTER_KEY}", 400)
    assert as_reported(fake, litellm, "/key/generate", 400, answer) == (
        "LiteLLM: /key/generate: (secret) is no good, says (secret) (HTTP 400)"
    )


def test_the_query_is_not_part_of_what_is_reported(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    assert as_reported(fake, litellm, "/key/list", 500, "no database") == "LiteLLM: /key/list: no database (HTTP 500)"


def test_errors_carry_no_key_with_them(fake: FakeLiteLLM, litellm: LiteLLM) -> None:
    """Nor in a traceback."""
    fake.says["/key/generate"] = lambda: (400, error(VALUE, 400))
    with pytest.raises(FleetError) as caught:
        litellm.create(create(), VALUE)
    assert VALUE not in json.dumps([str(caught.value), repr(caught.value), str(caught.value.__cause__)])

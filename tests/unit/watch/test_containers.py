"""What is kept of a container that Docker reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch.containers import Seen, digest, with_answers
from ansible_collections.inference.fleet.tests.unit.watch.fake_docker import inspected
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(__file__).parents[1] / "engine" / "data"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("Name", "Id", "Image", "RestartCount", "State", "Config", "HostConfig", "NetworkSettings")


def test_a_model_that_runs() -> None:
    one = Seen.parse(inspected(devices=["GPU-1"], address="10.0.0.2"))
    assert one.plain() == {
        "name": "vllm-chat-1",
        "model": "chat",
        "service": None,
        "type": "chat",
        "status": "running",
        "health": "",
        "image": "vllm:1",
        "image_id": "sha256:00",
        "started_at": "2026-11-24T03:12:40.1Z",
        "ended_at": "",
        "exit_code": None,
        "restarts": 0,
        "devices": ["GPU-1"],
        "ready": False,
    }
    assert one.may_answer


@pytest.mark.parametrize(
    ("status", "code"),
    [("running", None), ("paused", None), ("created", None), ("exited", 137), ("dead", 137), ("restarting", 137)],
)
def test_only_what_has_ended_has_an_exit_code(status: str, code: int | None) -> None:
    one = Seen.parse(inspected(status=status, exit_code=137, ended_at="2026-11-24T03:12:41Z"))
    assert one.exit_code == code
    assert one.ended_at == ("" if status == "running" else "2026-11-24T03:12:41Z")


def test_what_never_started_has_no_time() -> None:
    one = Seen.parse(inspected(status="created", started_at="0001-01-01T00:00:00Z"))
    assert (one.started_at, one.ended_at) == ("", "")


def test_a_service_is_never_asked_whether_it_is_ready() -> None:
    one = Seen.parse(inspected("litellm", None, health="healthy", address="10.0.0.3"))
    assert (one.service, one.model, one.health, one.ready, one.may_answer) == ("litellm", None, "healthy", None, False)


@pytest.mark.parametrize("file", sorted(set(DATA.glob("*.json")) - {DATA / "image.json"}), ids=lambda file: file.stem)
def test_reads_what_docker_really_answered(file: Path) -> None:
    data = json.loads(file.read_text())
    one = Seen.parse(data)
    assert one.name == data["Name"].lstrip("/")
    assert one.status == data["State"]["Status"]


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_other_answer_is_read_as_far_as_it_goes(data: dict[str, Any]) -> None:
    json.dumps(Seen.parse(data).plain(), allow_nan=False)


def test_hostile_labels_are_cut_and_made_printable() -> None:
    labels = {"model-name": "\x1b]0;x\x07" + "m" * 1_000_000, "model-type": {"a": 1}, "service": 7}
    one = Seen.parse(inspected(labels=labels))
    assert one.model is not None and len(one.model) == 128 and one.model.startswith("?]0;x?mm")
    assert (one.type, one.service) == (None, None)


def test_the_digest_differs_with_what_a_person_wants_to_see() -> None:
    one = Seen.parse(inspected(id="a", address="10.0.0.2"))
    same = digest([one], "")
    assert digest([Seen.parse(inspected(id="a", address="10.0.0.2"))], "") == same
    others: tuple[dict[str, Any], ...] = ({"status": "exited"}, {"health": "unhealthy"}, {"restarts": 1})
    for changes in (*others, {"id": "b"}, {"started_at": "2026-11-24T03:12:50Z"}, {"exit_code": 1, "status": "exited"}):
        assert digest([Seen.parse(inspected(**{"id": "a", "address": "10.0.0.2", **changes}))], "") != same
    assert digest(with_answers([one], {"a": True}), "") != same
    assert digest([one], "2026") != same
    assert digest([], "") != same

"""How long a model took to start is kept, and is what Caddy says while the model is down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import starts


def test_a_start_is_remembered_beside_others_and_told_to_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "FILE", str(tmp_path / "starts.json"))
    down = tmp_path / "caddy/down"
    starts.write_starts({"litellm": 23.4})
    starts.write_starts({"a": 95.6}, str(down))
    assert starts.read_starts() == {"litellm": 23, "a": 96}
    (file,) = down.iterdir()
    assert (file.name, file.stat().st_mode & 0o777, down.stat().st_mode & 0o777) == ("a.json", 0o600, 0o700)
    assert json.loads(file.read_text())["error"]["message"] == (
        "no replica of the model a accepts requests; its last start took 96 s"
    )


def test_no_start_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "FILE", str(tmp_path / "starts.json"))
    starts.write_starts({}, str(tmp_path / "down"))
    assert list(tmp_path.iterdir()) == []
    assert starts.read_starts() == {}


def test_the_answer_of_a_removed_model_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "FILE", str(tmp_path / "starts.json"))
    down = tmp_path / "down"
    starts.forget_answers(["a"], str(down))  # a host that has none yet
    starts.write_starts({"a": 1.0, "b": 2.0}, str(down))
    (down / "b.json.new").write_text("of a killed run")
    starts.forget_answers(["a"], str(down))
    assert [file.name for file in down.iterdir()] == ["a.json"]

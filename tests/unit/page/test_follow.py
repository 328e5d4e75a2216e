"""Live logs: one process for all who read a log, which ends when nobody does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet_page import follow as module
from fleet_page.follow import Follows
from fleet_page.settings import Settings

KEY = ("gpu1", "model", "a")
SCRIPT = """\
import json, sys, time
from pathlib import Path
here = Path(sys.argv[0]).parent
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + chr(10))
print("PLAY [x]")
if (here / "fails").exists():
    sys.exit("ERROR: no host")
print("gpu1 one\\nother two\\ngpu1 \\x1b[31mthree\\ngpu1 " + "x" * 1_000_000)
print("gpu1 last", flush=True)
time.sleep(60)
"""


@pytest.fixture
def follows(tmp_path: Path) -> Iterator[Follows]:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable} -S\n{SCRIPT}")
    program.chmod(0o755)
    made = Follows(Settings(tmp_path, tmp_path, tmp_path, program, tmp_path))
    yield made
    made.end()


def until(wanted: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_lines_of_the_host_are_read_by_all(follows: Follows, tmp_path: Path) -> None:
    until(lambda: "last" in follows.lines(*KEY)[0])
    lines, lives = follows.lines(*KEY)
    assert lives and lines[:2] == ["one", "\x1b[31mthree"] and lines[-1] == "last"
    assert max(map(len, lines)) <= module.LONGEST
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert "inference.fleet.logs" in call and "--limit=gpu1" in call and "__ansible_unsafe" in call


def test_what_a_playbook_says_that_fails_is_shown(follows: Follows, tmp_path: Path) -> None:
    (tmp_path / "fails").touch()
    until(lambda: not follows.lines(*KEY)[1] and follows.lines(*KEY)[0])
    assert "ERROR: no host" in follows.lines(*KEY)[0]


def test_a_log_that_ended_is_read_again(follows: Follows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails").touch()
    until(lambda: not follows.lines(*KEY)[1])
    (tmp_path / "fails").unlink()
    assert not follows.lines(*KEY)[1]
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    until(lambda: "last" in follows.lines(*KEY)[0])


def test_a_log_that_nobody_reads_ends(follows: Follows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNREAD_SECONDS", 0.3)
    follows.lines(*KEY)
    one = follows._open[KEY]
    until(lambda: not one.lives)
    follows.lines("gpu2", "model", "a")
    assert [*follows._open] == [("gpu2", "model", "a")]

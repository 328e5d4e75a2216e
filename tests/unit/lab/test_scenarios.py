"""Which tests of a scenario which run has."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_a_scenario_that_extended_alone_runs_has_no_marked_test() -> None:
    """Else `extended` would run the files with marked tests only, and nothing the others."""
    arrays = dict(re.findall(r"^(\w*SCENARIOS)=\((.*)\)$", (ROOT / "run-tests").read_text(), re.MULTILINE))
    alone = set(arrays["EXTENDED_SCENARIOS"].split()) - set(arrays["SCENARIOS"].split())
    assert alone
    files = [file for scenario in alone for file in (ROOT / "molecule" / scenario / "tests").glob("test_*.py")]
    assert [str(file) for file in files if "mark.extended" in file.read_text()] == []

"""Writes the dashboards of the role monitoring: python tests/dashboards. tests/unit/monitoring checks the files."""

from __future__ import annotations

from pathlib import Path

from boards import DASHBOARDS

FILES = Path(__file__).resolve().parents[2] / "roles/monitoring/files/dashboards"

if __name__ == "__main__":
    for one in DASHBOARDS:
        (FILES / f"{one.name}.json").write_text(one.json())

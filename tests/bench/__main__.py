"""Measures of the collection, as tables, those of MEASURES below: PYTHONPATH=tests python tests/bench [MEASURE...]

Timings decide nothing: the bench fails only where a run is broken.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import access
import changes
import compiled
import containers
import docker
import energy
import engines
import install
import litellm_settings
import machine
import mig
import page
import scrape
import validate
from docker.errors import DockerException
from playbook import BenchError
from report import markdown, show
from rich.console import Console

MEASURES = {
    "access": access.measure,
    "changes": changes.measure,
    "compiled": compiled.measure,
    "containers": containers.measure,
    "energy": energy.measure,
    "engines": engines.measure,
    "install": install.measure,
    "litellm": litellm_settings.measure,
    "mig": mig.measure,
    "page": page.measure,
    "scrape": scrape.measure,
    "validate": validate.measure,
}

WIDTH = 140  # where there is no terminal that has one


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measures of the collection, as tables.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"{', '.join(MEASURES)}; all if none is named")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    arguments = parser.parse_args()
    for name in arguments.measures:
        if name not in MEASURES:
            parser.error(f"{name!r} is no measure; there are {', '.join(MEASURES)}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    client = docker.from_env()
    tables = [machine.describe(client)]
    show(tables[0], console)
    broken = False
    for name in arguments.measures or MEASURES:
        try:
            with console.status(name) as status:
                for findings in MEASURES[name](client, lambda text, label=name: status.update(f"{label}: {text}")):
                    show(findings, console)
                    tables.append(findings)
        except (BenchError, DockerException) as error:
            console.print(f"{name}: {_reported(error)}", style="red", markup=False)
            broken = True
    if arguments.markdown and not broken:
        arguments.markdown.write_text(markdown(tables))
    return int(broken)


def _reported(error: BaseException) -> str:
    """What went wrong first, then what that led to (the clearing up may fail as well)."""
    earlier = error.__context__
    return f"{_reported(earlier)}\n{error}" if isinstance(earlier, (BenchError, DockerException)) else str(error)


if __name__ == "__main__":
    sys.exit(main())

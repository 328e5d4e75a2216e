"""The result of a measure, and its form on a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Findings:
    """One table. The first column is text, the others are right-aligned; notes stand below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def show(findings: Findings, console: Console) -> None:
    table = Table(title=findings.title, title_justify="left", title_style="bold")
    for index, column in enumerate(findings.columns):
        table.add_column(column, justify="right" if index else "left")
    for row in findings.rows:
        table.add_row(*map(Text, row))
    console.print(Group(table, *(Text(f"  {note}") for note in findings.notes), Text()))


def markdown(page: Iterable[Findings]) -> str:
    """A page of its own."""
    text = ["# Benchmarks", "", "Printed by `./run-tests bench --markdown docs/benchmarks.md`.", ""]
    for findings in page:
        text += [f"## {findings.title}", "", _line(findings.columns)]
        text += [_line(["---", *["---:"] * (len(findings.columns) - 1)])]
        text += [_line(row) for row in findings.rows]
        text += ["", *(f"- {note}" for note in findings.notes), *([""] if findings.notes else [])]
    return "\n".join(text).rstrip() + "\n"


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def spread(values: Sequence[float]) -> str:
    """The median, and all values if there are several."""
    return f"{seconds(median(values))} ({', '.join(f'{value:.2f}' for value in sorted(values))})"


def against(value: float, aim: float, unit: str, at_least: bool = False) -> str:
    """A figure with its aim, and whether it was met."""
    met = value >= aim if at_least else value <= aim
    bound = "at least" if at_least else "at most"
    return f"{value:.1f}{unit} (aim: {bound} {aim:g}{unit}; {'met' if met else 'MISSED'})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

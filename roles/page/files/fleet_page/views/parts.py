# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts of the page: tables, marks, bars. Texts are escaped; `Markup` is HTML already."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import markupsafe
from markupsafe import escape

MOST_LOG = 400_000
LONGEST = 400  # characters of a text in a table
GOOD, BAD, BUSY, IDLE = "good", "bad", "busy", "idle"
Cell = Any  # text, which is escaped, or Markup


class Markup(markupsafe.Markup):
    """HTML. What `format` puts into it is text, unless it is Markup too: escaped, without controls, and not endless."""

    def format(self, *args: Any, **kwargs: Any) -> Markup:
        return Markup(super().format(*map(cell, args), **{name: cell(one) for name, one in kwargs.items()}))


def text(value: Any, longest: int = LONGEST) -> str:
    """Without characters that change the direction of the text or control a terminal, and not endless."""
    shown = "".join(
        one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for one in str(value)[: longest + 1].replace("\r\n", "\n")
    )
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def cell(value: Cell, longest: int = LONGEST) -> Markup:
    return Markup(value if isinstance(value, markupsafe.Markup) else escape(text(value, longest)))


def joined(parts: Iterable[Cell], between: str = "") -> Markup:
    return Markup(between).join(map(cell, parts))


def mark(kind: str, words: Cell) -> Markup:
    """A coloured word. The colour alone says nothing, for people who do not see it."""
    return Markup('<span class="mark {}">{}</span>').format(kind, cell(words))


def table(
    head: Sequence[str], rows: Iterable[Sequence[Cell]], picks: Sequence[str] | None = None, label: str = ""
) -> Markup:
    """picks: what a click on each row picks. On a narrow screen each row is a card, whose cells have their heads."""
    lines = []
    for number, row in enumerate(rows):
        cells = joined(
            Markup('<td data-head="{}">{}</td>').format(title, cell(one)) for title, one in zip(head, row, strict=True)
        )
        pick = Markup(' data-pick="{}" tabindex="0" role="button"').format(picks[number]) if picks else ""
        lines.append(Markup("<tr{}>{}</tr>").format(pick, cells))
    heads = joined(Markup('<th scope="col">{}</th>').format(one) for one in head)
    frame = '<table class="grid" aria-label="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
    return Markup(f'<div class="scroll">{frame}</div>').format(label, heads, joined(lines))


def meter(part: float | None, words: str) -> Markup:
    """part: 0 to 1."""
    if part is None:
        return cell(words)
    width = round(100 * min(max(part, 0.0), 1.0)) if math.isfinite(part) else 0
    return Markup('<span class="bar" title="{1}"><span style="width:{0}%"></span></span> <small>{1}</small>').format(
        width, words
    )


def empty(title: str, words: Cell) -> Markup:
    """Where there is nothing yet: what to do first."""
    return Markup('<div class="empty"><strong>{}</strong><p>{}</p></div>').format(title, cell(words))


def faults(lines: Iterable[str], title: str = "") -> Markup:
    found = joined(Markup("<li>{}</li>").format(cell(line, 2_000)) for line in lines)
    if not found:
        return Markup("")
    head = Markup("<strong>{}</strong>").format(title) if title else ""
    return Markup('<div class="faults" role="alert">{}<ul>{}</ul></div>').format(head, found)


def note(words: Cell) -> Markup:
    return Markup('<p class="note">{}</p>').format(cell(words))


def heading(words: Cell, aside: Cell = "") -> Markup:
    return Markup('<div class="heading"><h3>{}</h3><span>{}</span></div>').format(cell(words), cell(aside))


def age(moment: float | None) -> Markup:
    """A time, which the script of the page turns into `4 s ago`. moment: seconds since 1970."""
    if not moment:
        return Markup("-")
    clock = datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S UTC")
    return Markup('<time class="age" data-at="{}">{}</time>').format(round(moment, 1), clock)


def difference(words: str) -> Markup:
    """`diff -u`, coloured."""
    kinds = {"+": "add", "-": "del", "@": "at"}
    lines = (
        Markup('<span class="{}">{}</span>').format(kinds.get(line[:1], "ctx"), cell(line, 2_000) or " ")
        for line in words.splitlines()
    )
    return Markup('<pre class="diff" tabindex="0">{}</pre>').format(Markup("\n").join(lines))


def log(words: str, label: str = "Log", tail: bool = True) -> Markup:
    return Markup('<pre class="log{}" tabindex="0" aria-label="{}">{}</pre>').format(
        " tail" if tail else "", label, cell(words, MOST_LOG)
    )


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def gigabytes(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e9:,.1f} GB"

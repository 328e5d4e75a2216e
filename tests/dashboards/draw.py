"""Draws the dashboards from what a lab host's Prometheus has:
python tests/dashboards/draw.py LAB-HOST FOLDER [MINUTES]

The lab has no Grafana. The pictures show the results of the dashboards' queries in Grafana's layout; they are not
screenshots of Grafana.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import matplotlib

matplotlib.use("Agg")
from boards import DASHBOARDS
from matplotlib import dates, pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from panels import COLUMNS, Dashboard, Panel, Query

STEP_S = 15
INCHES_A_COLUMN = 0.6
INCHES_A_ROW = {"number": 1.1, "lines": 2.3, "areas": 2.3, "bars": 2.3, "table": 0.9}
COLOURS = ("#3274d9", "#e0752d", "#508642", "#890f02", "#8f3bb8", "#bf9b00", "#0a7f96", "#bf1b70")
LEGENDS = 8
FONT = 7
Series = tuple[dict[str, str], list[tuple[float, float]]]


class Prometheus:
    """The Prometheus of a lab host, queried from inside the host. minutes: length of the time range."""

    def __init__(self, host: str, minutes: int) -> None:
        self._host = f"inference-fleet-lab-{host}"
        self._minutes = minutes
        where = '{{(index .NetworkSettings.Networks "fleet-monitoring").IPAddress}}'
        self._address = self._run("docker", "inspect", "--format", where, "prometheus").strip()
        self.now = float(self._run("date", "+%s"))

    def range(self, query: Query) -> list[Series]:
        start = self.now - self._minutes * 60
        return self._ask("query_range", query=self._plain(query), start=start, end=self.now, step=STEP_S)

    def instant(self, query: Query) -> list[Series]:
        return self._ask("query", query=self._plain(query), time=self.now)

    def _plain(self, query: Query) -> str:
        filled = query.expr.replace("$__rate_interval", "1m").replace("$__range", f"{self._minutes}m")
        return filled.replace("$model", ".*")

    def _ask(self, path: str, **arguments: Any) -> list[Series]:
        url = f"http://{self._address}:9090/api/v1/{path}?{urlencode(arguments)}"
        found = json.loads(self._run("curl", "-s", url))["data"]["result"]
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one.get("values") or [one["value"]]])
            for one in found
        ]

    def _run(self, *command: str) -> str:
        return subprocess.run(
            ["docker", "exec", self._host, *command], check=True, capture_output=True, text=True
        ).stdout


def legend(query: Query, labels: dict[str, str]) -> str:
    told = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), query.legend)
    return " ".join(told.split()) or "value"


def shown(value: float, unit: str) -> str:
    """Text of a value, nearly as Grafana writes it."""
    if unit == "percentunit":
        return f"{value * 100:.0f} %"
    if unit == "s":
        if value < 1:
            return f"{value * 1000:.3g} ms"
        return f"{value / 3600:.1f} h" if value > 7200 else f"{value:.1f} s"
    if unit in ("bytes", "Bps"):
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.1f} {name}" + ("/s" if unit == "Bps" else "")
    if unit == "rotmhz":
        return f"{value:.0f} MHz"
    after = {"reqps": "/s", "watt": " W", "celsius": " °C", "currencyUSD": " $", "watth": " Wh"}
    return f"{value:.3g}{after.get(unit, '')}"


def draw_number(axes: Axes, panel: Panel, prometheus: Prometheus) -> None:
    axes.axis("off")
    found = [
        (legend(query, labels), points[-1][1])
        for query in panel.queries
        for labels, points in prometheus.instant(query)
    ]
    for place, (name, value) in enumerate(found):
        bad = panel.limits and (
            value >= panel.limits[0] if sorted(panel.limits) == list(panel.limits) else value < panel.limits[0]
        )
        at = (place + 0.5) / len(found)
        axes.text(
            at, 0.42, shown(value, panel.unit), ha="center", va="center", size=15, color="#c4162a" if bad else "#37872d"
        )
        if len(found) > 1:
            axes.text(at, 0.0, name, ha="center", size=FONT - 1, color="#555555")


def draw_bars(axes: Axes, panel: Panel, prometheus: Prometheus) -> None:
    found = [
        (legend(query, labels), points[-1][1])
        for query in panel.queries
        for labels, points in prometheus.instant(query)
    ]
    found.sort(key=lambda pair: pair[0], reverse=True)
    axes.barh([name for name, _value in found], [value for _name, value in found], color=COLOURS[0], height=0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: shown(value, panel.unit)))
    axes.set_xlim(0, panel.most)


def draw_table(axes: Axes, panel: Panel, prometheus: Prometheus) -> None:
    axes.axis("off")
    found = [labels for query in panel.queries for labels, _points in prometheus.instant(query)]
    rows = ["   ".join(labels[name] for name in panel.columns if name in labels) for labels in found]
    axes.text(0, 0.9, "\n".join(rows) or "None.", va="top", size=FONT + 1)


def draw_series(axes: Axes, panel: Panel, prometheus: Prometheus) -> None:
    found = [(legend(query, labels), points) for query in panel.queries for labels, points in prometheus.range(query)]
    if panel.kind == "areas":
        times = sorted({at for _name, points in found for at, _value in points})
        heights = [[dict(points).get(at, 0.0) for at in times] for _name, points in found]
        axes.stackplot(
            [moment(at) for at in times], heights, labels=[name for name, _points in found], colors=COLOURS, alpha=0.6
        )
    else:
        for (name, points), colour in zip(found, cycle(COLOURS)):
            axes.plot(
                [moment(at) for at, _value in points], [value for _at, value in points], label=name, color=colour, lw=1
            )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: shown(value, panel.unit)))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=6))
    axes.set_xlim(moment(prometheus.now - prometheus._minutes * 60), moment(prometheus.now))
    axes.set_ylim(0, panel.most)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(
        handles[:LEGENDS],
        names[:LEGENDS],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=3,
        fontsize=FONT - 1,
        frameon=False,
        handlelength=1,
    )


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


DRAW = {"number": draw_number, "bars": draw_bars, "lines": draw_series, "areas": draw_series, "table": draw_table}


def lines_of(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels in lines, as many in each line as fit into Grafana's grid."""
    lines: list[list[Panel]] = []
    for panel in panels:
        if not lines or sum(one.width for one in lines[-1]) + panel.width > COLUMNS:
            lines.append([])
        lines[-1].append(panel)
    return lines


def draw(board: Dashboard, prometheus: Prometheus, file: Path) -> None:
    lines = [
        (row.title if not place else "", line) for row in board.rows for place, line in enumerate(lines_of(row.panels))
    ]
    heights = [max(INCHES_A_ROW[panel.kind] for panel in line) for _title, line in lines]
    figure = pyplot.figure(
        figsize=(COLUMNS * INCHES_A_COLUMN, sum(heights) + 0.6), layout="constrained", facecolor="white"
    )
    figure.suptitle(board.title, x=0.01, ha="left", size=13, weight="bold")
    strips = figure.subfigures(len(lines), 1, height_ratios=heights)
    for strip, (title, line) in zip([strips] if len(lines) == 1 else strips, lines, strict=True):
        if title:
            strip.suptitle(title, x=0.01, ha="left", size=9, color="#555555")
        spare = COLUMNS - sum(panel.width for panel in line)
        grid = strip.add_gridspec(
            1, len(line) + bool(spare), width_ratios=[*(panel.width for panel in line), *([spare] if spare else [])]
        )
        for place, panel in enumerate(line):
            axes = strip.add_subplot(grid[0, place])
            axes.set_title(panel.title, loc="left", size=FONT + 1)
            axes.tick_params(labelsize=FONT - 1)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#e5e5e5", lw=0.6)
            axes.set_axisbelow(True)
            DRAW[panel.kind](axes, panel, prometheus)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def main() -> None:
    host, folder, minutes = [*sys.argv[1:], "30"][:3]
    prometheus = Prometheus(host, int(minutes))
    for board in DASHBOARDS:
        file = Path(folder) / f"{board.name}.png"
        draw(board, prometheus, file)
        print(f"{file}: {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

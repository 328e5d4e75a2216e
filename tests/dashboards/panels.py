"""Dashboards as short dataclasses, and their JSON, made with Grafana's SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

COLUMNS = 24  # of Grafana's grid
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
BUILDERS = {
    "lines": timeseries.Panel,
    "areas": timeseries.Panel,
    "number": stat.Panel,
    "bars": bargauge.Panel,
    "table": table.Panel,
}
HEIGHTS = {"number": 4, "table": 5}  # of others: 8


@dataclass(frozen=True)
class Query:
    """expr: PromQL, with Grafana's $__rate_interval and the dashboard's variable. legend: template for each series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """unit: Grafana's name of the unit. kind: a key of BUILDERS. limits: values for orange and red, descending if less
    is worse. width: of COLUMNS. columns: the first labels of a table. hidden: labels that the table leaves out."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "lines"
    width: int = 8
    limits: tuple[float, ...] = ()
    most: float | None = None
    columns: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """name: of the file, and in the URL. variable: the label that selects what is shown, and the series with its
    values."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variable: tuple[str, str] | None = None

    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels

    def json(self) -> str:
        built = (
            dashboard.Dashboard(self.title)
            .uid(f"fleet-{self.name}")
            .description(self.about)
            .tags(["inference.fleet"])
            .timezone("browser")
            .refresh("30s")
            .time("now-1h", "now")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .link(_siblings())
        )
        if self.variable:
            built.with_variable(_variable(*self.variable))
        ids = count(1)
        for row in self.rows:
            built.with_row(dashboard.Row(row.title).id(next(ids)))
            for panel in row.panels:
                built.with_panel(_panel(panel).id(next(ids)))
        return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _siblings() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Fleet")
    return link.type("dashboards").tags(["inference.fleet"]).include_vars(True).keep_time(True)


def _variable(label: str, series: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(label)
        .label(label.capitalize())
        .datasource(SOURCE)
        .query(f"label_values({series}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _panel(panel: Panel) -> Any:
    built = (
        BUILDERS[panel.kind]()
        .title(panel.title)
        .description(panel.about)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(HEIGHTS.get(panel.kind, 8))
        .min(0)
    )
    if panel.most is not None:
        built.max(panel.most)
    if panel.kind in ("lines", "areas"):
        legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        built.legend(legend.show_legend(True)).line_width(1).fill_opacity(10 if panel.kind == "lines" else 40)
        built.tooltip(common.VizTooltipOptions().mode("multi").sort("desc"))
        if panel.kind == "areas":
            built.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    elif panel.kind == "number":
        built.color_mode(BigValueColorMode.VALUE)
    elif panel.kind == "bars":
        built.orientation(VizOrientation.HORIZONTAL)
    else:
        built.no_value("None.").with_transformation(_columns(panel))
    if panel.limits:
        built.thresholds(_thresholds(panel.limits))
    for place, query in enumerate(panel.queries):
        one = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + place))
        if panel.kind == "table":
            one.format(PromQueryFormat.TABLE)
        built.with_target(one.range() if panel.kind in ("lines", "areas") else one.instant())
    return built


def _columns(panel: Panel) -> DataTransformerConfig:
    hidden = dict.fromkeys(("Time", "Value", "__name__", *panel.hidden), True)
    order = {label: place for place, label in enumerate(panel.columns)}
    return DataTransformerConfig("organize", options={"excludeByName": hidden, "indexByName": order})


def _thresholds(limits: tuple[float, ...]) -> dashboard.ThresholdsConfig:
    """Ascending limits: more is worse. Descending: less is worse."""
    colours = ["green", "orange", "red"] if len(limits) == 2 else ["green", "red"]
    if sorted(limits) != list(limits):
        limits, colours = limits[::-1], colours[::-1]
    steps = [Threshold(value=value, color=colour) for value, colour in zip((None, *limits), colours, strict=True)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)

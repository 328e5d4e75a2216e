# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chart of a fleet's energy: a bar of stacked models per period, and below it the time not measured.

matplotlib is imported only when used: no other play needs it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.energy.holders import UNASSIGNED, UNKNOWN
from ansible_collections.inference.fleet.plugins.plugin_utils.energy import UNMEASURED, Period

MOST_MODELS = 9  # with a colour of their own
OTHERS = "(other models)"
# Okabe and Ito's colours, which people with colour blindness can distinguish, and two more; greys if without model.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#332288", "#999933")
GREYS = {OTHERS: "#777777", f"({UNASSIGNED})": "#C8C8C8", f"({UNKNOWN})": "#E4E4E4"}
MOST_LABELS, MOST_TICKS = 16, 11
# The same file for the same data at any time; text as text, not as outlines.
STYLE = {"svg.hashsalt": "inference.fleet", "svg.fonttype": "none", "font.size": 10, "font.family": "DejaVu Sans"}


def draw(periods: Any, period: Period, price: Optional[float], currency: str, path: Path) -> None:
    """periods: the table. path: its suffix, .svg or .png, sets the format."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = _figure(periods, period, price, currency)
        figure.savefig(path, dpi=144, metadata={"Date": None} if path.suffix == ".svg" else None)


def _figure(periods: Any, period: Period, price: Optional[float], currency: str) -> Any:
    from matplotlib.figure import Figure

    bars = period.bars()
    energy = _stack(periods, bars)
    gaps = periods[periods["model"] == UNMEASURED].groupby("from")["hours"].sum().reindex(bars, fill_value=0.0)
    figure = Figure(figsize=(10, 5.6 if gaps.any() else 4.8), layout="constrained")
    ratios = {"height_ratios": [4, 1]} if gaps.any() else {}
    axes = figure.subplots(2 if gaps.any() else 1, 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    total = float(energy.to_numpy().sum())
    figure.suptitle(f"Energy of the GPUs, {_days(period.first, period.last)}", x=0.01, ha="left", weight="bold")
    cost = f", {_amount(total * price)} {currency} at {price:g} a kWh".replace("  ", " ") if price is not None else ""
    axes[0].set_title(f"{_amount(total)} kWh in all{cost}", loc="left", fontsize=10, color="#444444")
    _stacks(axes[0], energy, price, currency)
    if gaps.any():
        _gaps(axes[1], gaps)
    step = -(-len(bars) // MOST_TICKS)
    axes[-1].set_xticks(range(0, len(bars), step), [_label(day, period) for day in bars[::step]])
    axes[-1].set_xlim(-0.6, max(len(bars), 4) - 0.4)
    axes[-1].set_xlabel({"day": "day (UTC)", "week": "week from (UTC)", "month": "month (UTC)"}[period.unit])
    return figure


def _stack(periods: Any, bars: list[date]) -> Any:
    """kWh, a row for each bar and a column for each model: the largest first, energy without model last."""
    found = periods[periods["model"] != UNMEASURED].pivot_table(
        index="from", columns="model", values="kwh", aggfunc="sum"
    )
    found = found.reindex(bars).fillna(0.0)
    models = [name for name in found.sum().sort_values(ascending=False).index if name not in GREYS]
    few, many = models[:MOST_MODELS], models[MOST_MODELS:]
    if many:
        found[OTHERS] = found[many].sum(axis=1)
    return found[[*few, *(name for name in GREYS if name in found)]]


def _stacks(axis: Any, energy: Any, price: Optional[float], currency: str) -> None:
    base = [0.0] * len(energy)
    # Colours by name order, so that most models have the same colour in charts of other periods.
    colours = {**dict(zip(sorted(set(energy) - set(GREYS)), COLOURS, strict=False)), **GREYS}
    for name in energy:
        label = f"{name}  {_amount(energy[name].sum())} kWh"
        axis.bar(
            range(len(energy)),
            energy[name],
            0.8,
            base,
            color=colours[name],
            label=label,
            edgecolor="white",
            linewidth=0.4,
        )
        base = [below + height for below, height in zip(base, energy[name], strict=True)]
    if len(energy) <= MOST_LABELS:
        for place, height in enumerate(base):
            if height:
                axis.annotate(
                    _amount(height), (place, height), (0, 2), textcoords="offset points", ha="center", fontsize=8
                )
    axis.set_ylabel("kWh")
    axis.set_ylim(0, max([*base, 1e-9]) * 1.1)
    axis.locator_params(axis="y", nbins=6)
    _plain(axis)
    if price:
        costs = axis.secondary_yaxis("right", functions=(lambda kwh: kwh * price, lambda cost: cost / price))
        costs.set_ylabel(currency or "cost")
        costs.spines["right"].set_visible(False)
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        beside = (1.09 if price else 1.01, 1.0)
        axis.legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=beside, frameon=False, borderaxespad=0
        )


def _gaps(axis: Any, gaps: Any) -> None:
    label = f"not measured  {_amount(gaps.sum())} GPU hours"
    axis.bar(range(len(gaps)), gaps, 0.8, color="white", edgecolor="#B22222", hatch="////", linewidth=0.6, label=label)
    axis.set_ylabel("GPU hours")
    axis.locator_params(axis="y", nbins=3)
    axis.set_ylim(0, gaps.max() * 1.15)
    axis.set_title(label, loc="left", fontsize=10, color="#B22222")
    _plain(axis)


def _plain(axis: Any) -> None:
    axis.grid(axis="y", color="#E5E5E5", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _label(day: date, period: Period) -> str:
    return f"{day:%b %Y}" if period.unit == "month" else f"{day.day} {day:%b}"


def _days(first: date, last: date) -> str:
    if first == last:
        return f"{first.day} {first:%B %Y}"
    begun = "" if (first.year, first.month) == (last.year, last.month) else f" {first:%B}"
    return f"{first.day}{begun}{f' {first.year}' if first.year != last.year else ''} to {last.day} {last:%B %Y}"


def _amount(value: float) -> str:
    """Three significant digits, never in exponent form."""
    return (
        f"{value:,.0f}"
        if value >= 100
        else f"{value:.3g}"
        if value >= 0.001
        else f"{value:.6f}".rstrip("0").rstrip(".") or "0"
    )

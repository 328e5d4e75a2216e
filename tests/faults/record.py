"""Counts the tries of the fault tests and their results, and shows both as tables in Markdown.

A test names what it tries by the marker `fault`; every parameter of it counts as one try. What a
test measures it adds to `measures`.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest

GIB = 1 << 30
PHASES = 3  # setup, call, teardown

tries: dict[str, Counter[str]] = {}
measures: dict[str, list[float]] = {}
_passed: Counter[str] = Counter()
_skipped: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name): what the test tries, for the table at the end")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fault = item.get_closest_marker("fault")
    if report.skipped:
        _skipped.add(item.nodeid)
    if fault and item.nodeid not in _skipped:
        counted = tries.setdefault(fault.args[0], Counter())
        _passed[item.nodeid] += report.passed
        if report.when == "teardown":
            counted["tried"] += 1
            counted["survived"] += _passed[item.nodeid] == PHASES
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tries:
        terminalreporter.section("faults")
        terminalreporter.write_line("\n".join(_tables()))


def _tables() -> list[str]:
    lines = ["| fault | tried | survived | lost |", "| --- | ---: | ---: | ---: |"]
    for fault, counted in [*tries.items(), ("all of them", sum(tries.values(), Counter()))]:
        tried, survived = counted["tried"], counted["survived"]
        lines.append(f"| {fault} | {tried} | {survived} | {tried - survived} |")
    if measures:
        lines += ["", "| measure | median | longest | of |", "| --- | ---: | ---: | ---: |"]
    for measure, values in measures.items():
        lines.append(f"| {measure} | {median(values):.1f} s | {max(values):.1f} s | {len(values)} |")
    return [*lines, "", _machine()]


def _machine() -> str:
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, a lab host on {len(os.sched_getaffinity(0))} cores of "
        f"{processor[1] if processor else platform.machine()}, {memory:.0f} GiB of memory, "
        f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"
    )

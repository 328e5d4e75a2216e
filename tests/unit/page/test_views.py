"""No text of a host, a container, a model, a key, a run or a log becomes HTML, and none is endless."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest
from ansible_collections.inference.fleet.plugins.plugin_utils.page.places import HostNames
from ansible_collections.inference.fleet.plugins.plugin_utils.page.progress import Progress, followed
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, inventory
from fleet_page.edits import Host, Proposal, Snapshot
from fleet_page.inventory import Inventory
from fleet_page.page import variables
from fleet_page.runs import DONE, FAILED, LOST, RUNS, STOPPED, Request, Run
from fleet_page.tabs.change import Pending, _summary
from fleet_page.views import energy, gpus, images, keys, models, overview, parts, runs, settings
from markupsafe import Markup

MEGABYTE = 1_000_000
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "apostrophe": "' onfocus='alert(1)' autofocus='",
    "end": "</td></table></pre></textarea><img src=x onerror=alert(1)>",
    "template": "${alert(1)}{{constructor}}{% x %}`${1}`",
    "entity": "&lt;b&gt;&#60;script&#62;",
    "terminal": "\x1b[31mred\x1b[0m\x00\x07\x08",
    "direction": "abc\u202egpj.exe\u2066x",
    "megabyte": "<b>" * (MEGABYTE // 3),
    "lines": "a\r\nb\nc\td",
    "empty": "",
}
# Every tag and attribute that is ours.
OURS = {
    "a": {"href", "target", "rel"},
    "b": set(),
    "br": set(),
    "code": {"id"},
    "dd": set(),
    "details": {"class"},
    "div": {"class", "style", "role", "aria-label", "title"},
    "dl": {"class"},
    "dt": set(),
    "h3": set(),
    "header": set(),
    "li": set(),
    "p": {"class"},
    "pre": {"class", "tabindex", "aria-label"},
    "section": {"class"},
    "small": set(),
    "span": {"class", "style", "title"},
    "strong": set(),
    "summary": set(),
    "table": {"class", "aria-label"},
    "tbody": set(),
    "td": {"data-head"},
    "th": {"scope"},
    "thead": set(),
    "time": {"class", "data-at"},
    "tr": {"data-pick", "tabindex", "role"},
    "ul": set(),
}
STYLE = re.compile(r"width:\d{1,3}%|grid-template-columns:repeat\(\d{1,3},1fr\)|grid-column:\d{1,3} / span \d{1,3}")
CLASS = re.compile(r"[a-z ]+")
EVIL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Checked(HTMLParser):
    """Reads HTML as a browser does, and fails at what is not ours."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS, tag
        for name, value in attrs:
            assert name in OURS[tag], (tag, name)
            assert name != "style" or STYLE.fullmatch(value or ""), value
            assert name != "class" or CLASS.fullmatch(value or ""), value
            assert name != "href" or (value or "").startswith("https://"), value
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def check(made: Any, longest: int = 60_000) -> None:
    assert isinstance(made, Markup)
    assert len(made) < longest
    assert not EVIL.search(made)
    Checked(str(made))


CONTAINER: dict[str, Any] = {
    "name": "fleet-a-0",
    "model": "a",
    "service": None,
    "type": "chat",
    "status": "exited",
    "health": "unhealthy",
    "ready": False,
    "image": "vllm/vllm-openai:v0.32.0",
    "image_id": "sha256:abc",
    "started_at": "2026-11-29T09:30:00Z",
    "exit_code": 1,
    "restarts": 2,
    "devices": ["GPU-1"],
    "device": "GPU 0",
}
GPU: dict[str, Any] = {
    "index": 0,
    "uuid": "GPU-1",
    "name": "NVIDIA H100",
    "memory_mib": 81559,
    "memory_used_mib": 1234,
    "utilization": 37,
    "temperature": 44,
    "power": 123.4,
    "power_limit": 700.0,
    "mig": False,
    "links": {"1": 12},
    "profiles": [],
    "instances": [],
    "containers": ["fleet-a-0"],
    "processes": [{"pid": 1, "name": "python"}],
}
MIG: dict[str, Any] = {
    **GPU,
    "index": 1,
    "mig": True,
    "links": {},
    "profiles": [{"name": "3g.40gb", "slices": 3, "size": 4, "starts": [0, 4], "total": 2, "memory_gib": 40}],
    "instances": [
        {"id": 1, "profile": "3g.40gb", "start": 0, "size": 4, "uuids": ["MIG-1"], "containers": ["fleet-a-1"]}
    ],
}
SEEN: dict[str, Any] = {
    "schema": 1,
    "host": "gpu1",
    "time": 1764406000.1,
    "fault": None,
    "containers": [CONTAINER, {**CONTAINER, "model": None, "service": "caddy", "type": "service"}],
    "gpus": [GPU, MIG],
    "gpu_note": "",
    "drained_since": None,
    "last_restore": {"text": ["all models are ready"], "ok": True},
    "metrics": {"requests": {"a": 1.5}, "tokens": {"a": 1234.5}},
    "alerts": [{"name": "ModelDown", "severity": "critical", "since": "2026-11-29T09:30:00Z", "summary": "a is down"}],
    "disk": {"free_bytes": 10**12, "total_bytes": 2 * 10**12},
    "root_certificate": "-----BEGIN CERTIFICATE-----",
    "keys": [{"alias": "app", "spend": 1.5, "requests": 1234.0, "tokens": 56789.0}],
}
KEYS = [
    {
        "alias": "app",
        "models": ["a"],
        "max_budget": 5,
        "budget_duration": "30d",
        "rpm_limit": 3,
        "expires": "2027-01-01",
    }
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("views")
    extra = (
        "    fleet_keys: [{alias: app, models: [a]}]\n    fleet_direct_keys: [{name: jobs}]\n    fleet_monitoring: {}\n"
    )
    return inventory(folder, {"hosts.yml": ONE + extra}).snapshot()


def pages(snapshot: Snapshot, seen: Any) -> Iterator[Any]:
    """All views of an inventory and what was seen of its hosts."""
    yield overview.overview(snapshot, seen, "")
    yield gpus.gpus(seen, [*snapshot.hosts])
    yield images.images(snapshot, seen)
    yield keys.keys(snapshot, seen)
    yield energy.grafana(snapshot)
    rows = overview.model_rows(snapshot, seen)
    yield overview.models_table(rows, picks=True)
    for row in rows:
        yield models.about(row, snapshot.hosts[row.host])


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts and nulls, also those of keys."""
    if isinstance(data, dict):
        for key, one in data.items():
            yield from leaves(one, (*path, key))
    elif isinstance(data, list):
        for index, one in enumerate(data):
            yield from leaves(one, (*path, index))
    elif data is None or isinstance(data, str):
        yield path


def all_places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, one in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from all_places(one, (*path, key))


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(data)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return made


def test_what_is_harmless_is_shown(snapshot: Snapshot) -> None:
    made = [*pages(snapshot, {"gpu1": SEEN})]
    for one in made:
        check(one)
    words = " ".join(made)
    for wanted in ("NVIDIA H100", "3g.40gb", "ModelDown", "exit code 1", "1.2 GiB", "fleet-a-1", "caddy", "1,234.5"):
        assert wanted in words, wanted


@pytest.mark.parametrize(("restarts", "words"), [(None, "loading"), (0, "loading"), (1, "loading"), (2, "down")])
def test_a_container_that_starts_again_and_again_is_down(snapshot: Snapshot, restarts: Any, words: str) -> None:
    starting = {**CONTAINER, "status": "running", "health": "starting", "restarts": restarts}
    (row,) = [
        row for row in overview.model_rows(snapshot, {"gpu1": {**SEEN, "containers": [starting]}}) if row.containers
    ]
    assert row.words == words


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_host_is_html(snapshot: Snapshot, name: str) -> None:
    places = [*leaves(SEEN)]
    assert len(places) > 40
    for path in places if name in ("script", "attribute", "megabyte") else places[::3]:
        for one in pages(snapshot, {"gpu1": put(SEEN, path, HOSTILE[name])}):
            check(one)


@pytest.mark.parametrize("path", [path for path in all_places(SEEN) if isinstance(path[-1], str)], ids=str)
def test_any_value_of_a_host_may_be_missing(snapshot: Snapshot, path: tuple[Any, ...]) -> None:
    if path in (("time",), ("schema",)):
        return
    for one in pages(snapshot, {"gpu1": put(SEEN, path, None)}):
        check(one)


@pytest.mark.parametrize(
    "seen", [{}, {"gpu1": {}}, {"gpu1": {"fault": "no answer", "time": 1.0}}, {"other": SEEN}, {"gpu1": {"time": 1.0}}]
)
def test_what_was_not_seen_says_so(snapshot: Snapshot, seen: Any) -> None:
    for one in pages(snapshot, seen):
        check(one)


def hosts(name: str) -> Snapshot:
    """An inventory in which every text is this one."""
    model = {"name": name, "type": name, "source": name, "state": "running", "image": name, "replicas": name}
    key = {**dict.fromkeys(KEYS[0], name), "models": [name], "max_budget": 5}
    given = {
        "fleet_models": [model],
        "fleet_keys": [key],
        "fleet_direct_keys": [{"name": name}],
        "fleet_monitoring": {},
    }
    host = Host(HostNames(name, ()), given, faults=(name,))
    return Snapshot(Path("/x"), {name: host})


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_the_inventory_is_html(name: str) -> None:
    text = HOSTILE[name]
    for one in pages(hosts(text), {text: SEEN}):
        check(one)
    check(overview.overview(Snapshot(Path("/x"), faults=(text,)), {}, faults=(text,)))
    check(overview.overview(Snapshot(Path("/x"), {"gpu1": Host(HostNames("gpu1", ()))}), {}, faults=(text,)))
    check(overview.overview(Snapshot(Path("/x"), {"gpu1": Host(HostNames("gpu1", ()))}), {}, text))
    if name != "megabyte":  # slow
        check(settings.settings(hosts(text), variables(), ["fleet_models", "fleet_keys"]))
    check(keys.value(text, "sk-abc"))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("state", [RUNS, DONE, FAILED, STOPPED, LOST])
def test_no_text_of_a_run_is_html(name: str, state: str) -> None:
    text = HOSTILE[name]
    request = Request(text, text, {text: text}, text, True, text, "2026-11-29T09:30:00+00:00")
    run = Run("20261129-093000-beef", Path("/x"), request, state, 1.0 if state != RUNS else None, text)
    data = {"host": text or "x", "task": text, "play": text, "res": {"msg": text, "changed": True}}
    events = [
        {"counter": 1, "event": "playbook_on_play_start", "event_data": data},
        {"counter": 2, "event": "playbook_on_task_start", "event_data": data},
        *({"counter": 3 + number, "event": "runner_on_ok", "event_data": data} for number in range(50)),
        {"counter": 99, "event": "runner_on_failed", "event_data": data},
    ]
    check(runs.live(run, followed(Progress(), events)))
    check(runs.history([run]))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_line_of_a_log_or_a_difference_is_html(name: str) -> None:
    text = HOSTILE[name]
    check(parts.log(text, text), 2_000_000)
    check(parts.difference("\n".join(f"{mark}{text}" for mark in ("+", "-", "@@", " "))))
    proposal = Proposal(text, {Path("/x/hosts.yml"): ("", text)}, hosts(text), (text, "gpu2"), (text,))
    check(_summary(Pending(text, proposal, Request(text, "", {text: text}, text), (text,))), 500_000)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_an_energy_report_is_html(name: str) -> None:
    text = HOSTILE[name]
    row = {
        "model": text,
        "host": text,
        "from": "2026-11-01",
        "kwh": 1.5,
        "hours": 2.0,
        f"cost_{text[:50]}": 0.5,
        "started": text,
    }
    check(energy.sums(pandas.DataFrame([row]), pandas.DataFrame([row])))


def test_a_key_has_its_use_where_monitoring_is_on(snapshot: Snapshot) -> None:
    (host,) = snapshot.hosts
    used = {"alias": "app", "spend": 1.5, "requests": 1234.0, "tokens": 56789.0}
    assert "1,234 requests, 56,789 tokens" in keys.keys(snapshot, {host: {"keys": [used]}})
    assert " requests, " not in keys.keys(snapshot, {host: {"keys": [{**used, "requests": None}]}})


def test_the_end_of_a_long_log_is_shown() -> None:
    words = "x" * 390_000 + "\nthe end"
    assert "the end" in parts.log(f"[the first 12,345,678 bytes are left out]\n{words}")


@pytest.mark.parametrize(
    "made",
    [
        lambda: overview.overview(Snapshot(Path("/x")), {}),
        lambda: gpus.gpus({}, []),
        lambda: images.images(Snapshot(Path("/x")), {}),
        lambda: keys.keys(Snapshot(Path("/x")), {}),
        lambda: energy.grafana(Snapshot(Path("/x"))),
        lambda: runs.history([]),
        lambda: settings.certificates({}),
        lambda: overview.services_table({}),
    ],
)
def test_an_empty_page_says_what_to_do_first(made: Callable[[], Any]) -> None:
    found = made()
    check(found)
    assert "." in found


@pytest.mark.parametrize("size", [0, -5, 10**9])
def test_a_placement_that_cannot_be_is_drawn_within_bounds(size: int) -> None:
    for path in (
        ("gpus", 1, "instances", 0, "size"),
        ("gpus", 1, "instances", 0, "start"),
        ("gpus", 1, "profiles", 0, "size"),
    ):
        check(gpus.gpus({"gpu1": put(SEEN, path, size)}, ["gpu1"]))


@pytest.mark.parametrize("part", [None, 0.0, 0.5, 1.0, 17.0, -3.0, float("nan"), float("inf")])
def test_a_bar_is_between_nothing_and_all(part: float | None) -> None:
    check(parts.meter(part, "<b>"))


def test_a_gone_inventory_is_a_fault_of_the_overview(tmp_path: Path) -> None:
    found = Inventory(tmp_path / "nowhere").snapshot()
    assert "The inventory cannot be used" in overview.overview(replace(found), {}, faults=found.faults)

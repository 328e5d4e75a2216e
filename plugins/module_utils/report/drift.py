# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs from the inventory on a host, and between hosts, from the results of tasks in check mode. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import NEXT
from ansible_collections.inference.fleet.plugins.module_utils.report.status import drained_lines, images_that_differ
from ansible_collections.inference.fleet.plugins.module_utils.report.summary import CONTAINERS
from ansible_collections.inference.fleet.plugins.module_utils.report.table import headed, table

SCHEMA = 1  # of the document; becomes 2 when a key is removed or changes its meaning
# In the order of the report. host: not reached, or not fit for its inventory. hosts: hosts that differ from each other.
KINDS = ("host", "container", "image", "gpu", "network", "file", "service", "key", "version", "clock", "hosts")
FAIL_ON = ("any", "never")
CLOCK_S = 2.0  # a time server keeps a clock within a fraction of a second
METRICS = "drift.prom"  # in the folder of the node exporter's files

INSTALL = "install"
_KEYS = "keys"
_SET_CLOCK = "`timedatectl set-ntp true`, or install chrony"
_AS_INVENTORY = "as in the inventory"
_NOT_COMPARED = "not compared: an earlier task failed on this host"
_COUNT, _TIME = "inference_fleet_drift_differences", "inference_fleet_drift_timestamp_seconds"
_GPU_CHECKS = ("mig", "gpus", "driver", "nvidia-smi", "persistence", "toolkit", "runtime", "reload")
# Variables with the results of the modules that write files.
_FILES = (
    *("__fleet_files", "__litellm_config", "__caddy_config", "__monitoring_files", "__monitoring_gpu_models"),
    *("__restore_files", "__energy_files"),
)
_SECRETS = ("__fleet_secrets", "__caddy_keys", "__monitoring_secrets")  # results without what must not be shown
_LOOPS = ("__caddy_tls", "__energy_removed")  # results of loops over files
# Variable with the result of a task that starts a unit of systemd -> the unit.
_UNITS = {"__restore_service": "inference-fleet-restore", "__energy_service": "inference-fleet-energy"}
# Variables with the results of inference.fleet.litellm_key -> the playbook that sets the keys.
_KEY_TASKS = {"__litellm_keys": INSTALL, "__monitoring_key": INSTALL, "__keys": _KEYS}
# The verb of an action on a model container -> what differs; {} is the action's detail.
_REASONS = {
    "connect": "not in the network {}",
    "disconnect": "in the network {}",
    "update": "another {}",
    "stop": "runs",
    "rename": "of an interrupted replacement, becomes {}",
}
_SYNCHRONIZED = {True: "by a time server", False: "none"}
_CAUSE = "fix the cause, then run drift again"
_SHORT, _LONG = 12, 160  # digits of an ID; characters of a cell


@dataclass(frozen=True)
class Difference:
    """kind: one of KINDS. name: what differs. expected: empty if `found` says all. remedy: a playbook or an advice."""

    kind: str
    name: str
    found: str
    expected: str = ""
    remedy: str = INSTALL


def host_entry(results: Mapping[str, Any], ignored: Collection[str] = ()) -> dict[str, Any]:
    """A host's entry in the document.

    results: a host's variables, with the registered results of the playbook drift. ignored: kinds to leave out.
    """
    versions = _of(results, "__drift_host")
    fault = versions.get("fault", _NOT_COMPARED) or (None if _finished(results, versions) else _NOT_COMPARED)
    read = {} if fault else {name: versions[name] for name in ("system", "kernel", "docker", "collection")}
    found = [Difference("host", "connection", fault, remedy="")] if fault else _differences(results, versions)
    return {
        "fault": fault,
        "drained_since": _of(results, "__fleet_host").get("drained_since") or None,
        "versions": {**read, "driver": versions["driver"]["loaded"]} if read else {},
        "clock": versions["clock"] if read else None,
        "images": _images(results),
        "differences": [asdict(one) for one in sorted(set(found), key=_place) if one.kind not in ignored],
    }


def between_hosts(hosts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is not the same on all hosts where it should be: `name`, `values` (value -> hosts) and `remedy`.

    Kernels and Docker are compared among hosts of one release of one distribution; drivers among hosts that have one.
    """
    found: list[dict[str, Any]] = [
        {"name": f"image {image}", "values": digests, "remedy": "pin the digest (docs/operations.md, Upgrading)"}
        for image, digests in images_that_differ({host: one["images"] for host, one in hosts.items()}).items()
    ]
    read = {host: one["versions"] for host, one in sorted(hosts.items()) if one["versions"]}
    for system in sorted({one["system"] for one in read.values()}):
        alike = {host: one for host, one in read.items() if one["system"] == system}
        for name, what in (("kernel", "kernel"), ("docker", "Docker")):
            found += _unequal(f"{what} of {system}", alike, name, "update the hosts that are behind")
    found += _unequal("NVIDIA driver", read, "driver", "update the hosts that are behind")
    found += _unequal("collection", read, "collection", INSTALL)
    clocks = {host: one["clock"] for host, one in sorted(hosts.items()) if one["clock"]}
    synchronized = {host: {"clock": _SYNCHRONIZED.get(one["synchronized"])} for host, one in clocks.items()}
    return [*found, *_clocks(clocks), *_unequal("synchronization of the clock", synchronized, "clock", _SET_CLOCK)]


def document(
    hosts: Mapping[str, Mapping[str, Any]], between: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "hosts": {
            host: {key: one[key] for key in ("fault", "drained_since", "versions", "clock", "differences")}
            for host, one in sorted(hosts.items())
        },
        "between_hosts": list(between),
    }


def drift_text(hosts: Mapping[str, Mapping[str, Any]], between: Sequence[Mapping[str, Any]]) -> str:
    """A block for each host, sorted by name, and one for what differs between them."""
    blocks = [headed(host, _lines(one)) for host, one in sorted(hosts.items())]
    if between:
        rows = [
            (one["name"], "; ".join(f"{value} on {', '.join(names)}" for value, names in _sides(one)), one["remedy"])
            for one in between
        ]
        blocks.append(headed("hosts that differ from each other", table([("WHAT", "FOUND", "TO DO"), *rows])))
    return "\n\n".join(blocks)


def failing(hosts: Mapping[str, Mapping[str, Any]], between: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Host -> how many differences it has, for hosts that have any."""
    counted = {host: sum(counts(host, one, between).values()) for host, one in hosts.items()}
    return {host: f"{_differ(count)}, see above" for host, count in counted.items() if count}


def counts(host: str, entry: Mapping[str, Any], between: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Kind -> the number of the host's differences, for all KINDS."""
    found = [one["kind"] for one in entry["differences"]]
    found += ["hosts" for one in between if any(host in names for names in one["values"].values())]
    return {kind: found.count(kind) for kind in KINDS}


def metrics_text(numbers: Mapping[str, int], now: datetime) -> str:
    """For the textfile collector of the node exporter. numbers: of `counts`."""
    lines = [
        f"# HELP {_COUNT} Differences from the inventory, by kind, at the last run of drift with metric=true.",
        f"# TYPE {_COUNT} gauge",
        *(f'{_COUNT}{{kind="{kind}"}} {number}' for kind, number in numbers.items()),
        f"# HELP {_TIME} The last run of drift with metric=true.",
        f"# TYPE {_TIME} gauge",
        f"{_TIME} {now.timestamp():.0f}",
    ]
    return "\n".join(lines) + "\n"


def newest_kernel(running: str, installed: Iterable[str]) -> str:
    """The newest of the installed kernels that have the running one's flavour, such as `cloud-amd64`; else the running
    one."""
    alike = [one for one in installed if _flavour(one) == _flavour(running)]
    return max([running, *alike], key=lambda one: list(map(int, re.findall(r"\d+", one.partition(_flavour(one))[0]))))


def _flavour(release: str) -> str:
    """`amd64` of 6.1.0-18-amd64, `x86_64` of 5.14.0-427.13.1.el9_4.x86_64, `bpo-amd64` of 6.12.9+bpo-amd64."""
    return re.sub(r"^[\d.+~-]*((el|fc|deb)\d+(_\d+)*[.-])?", "", release)


def _finished(results: Mapping[str, Any], versions: Mapping[str, Any]) -> bool:
    """Whether no task ended the play on the host. Where Docker does not answer, only the host itself is checked."""
    return "checks" in _of(results, "__fleet_host") and (versions["docker"] is None or "__keys" in results)


def _differences(results: Mapping[str, Any], versions: Mapping[str, Any]) -> list[Difference]:
    status = _of(_of(results, "__drift_status"), "status")
    return [
        *_of_checks(results),
        *_of_steps(results, status),
        *_of_models(status),
        *_of_services(results),
        *(_of_networks(results) if versions["docker"] else ()),
        *_of_files(results),
        *_of_units(results),
        *_of_keys(results),
        *_of_versions(results, versions),
        *_of_clock(versions["clock"]),
    ]


def _of_checks(results: Mapping[str, Any]) -> Iterator[Difference]:
    """What `install` would fix or stumble over, as inference.fleet.host_check found it."""
    for check in _of(results, "__fleet_host").get("checks", ()):
        # The steps of a partition are among those of the models.
        if check["state"] in ("install", "fault") and (check["name"], check["state"]) != ("mig", "install"):
            kind = "gpu" if check["name"] in _GPU_CHECKS else "host"
            remedy = INSTALL if check["state"] == "install" else check["remedy"]
            yield Difference(kind, check["name"], check["found"], remedy=remedy)


def _of_steps(results: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Difference]:
    """What could not be compared, and why."""
    faults = dict(results.get("__drift_faults") or {})
    if status.get("fault"):
        faults["models"] = status["fault"]
    if fault := results.get("__monitoring_faults"):
        faults["monitoring"] = fault
    for step, fault in faults.items():
        yield Difference("host", step, f"could not be compared: {_first(fault)}", remedy=_CAUSE)
    if not _of(results, "__fleet_host").get("gpu_faults"):
        for trouble in status.get("gpu_trouble", ()):
            name, _colon, found = trouble.partition(": ")
            yield Difference("gpu", name, found)


def _of_models(status: Mapping[str, Any]) -> Iterator[Difference]:
    """From `GPU 0: create 3g.20gb at 0`, `pull IMAGE` and `replace vllm-a-1 (changed: env; no free device: …)`."""
    containers: dict[str, list[tuple[str, str]]] = {}
    for action in status.get("install_would", ()):
        if found := re.match(r"(GPU \d+): (.*)", action):
            yield Difference("gpu", found[1], f"lacks: {found[2]}", _AS_INVENTORY)
        elif found := re.match(r"pull (\S+)", action):
            yield Difference("image", found[1], "not on this host")
        elif found := re.match(r"(?!write )(\w+) (\S+)(?: \((.*)\))?", action):
            # After the semicolon: what a replacement means for clients.
            reason = _REASONS.get(found[1], "{}").format((found[3] or "").partition(";")[0])
            containers.setdefault(found[2], []).append((found[1], reason))
    for name, steps in containers.items():
        reasons = list(dict.fromkeys(reason for _verb, reason in steps if reason))
        verbs = list(dict.fromkeys(verb for verb, _reason in steps))
        found_ = "; ".join(reasons) or f"install would {' and '.join(verbs)} the container"
        expected = "no container" if verbs == ["remove"] else _AS_INVENTORY
        yield Difference("container", name, found_, expected)


def _of_services(results: Mapping[str, Any]) -> Iterator[Difference]:
    """From the results of community.docker.docker_container with `debug`."""
    for name, variable in CONTAINERS.items():
        result = _of(results, variable)
        if result.get("changed") and not result.get("failed"):
            diff = result.get("diff") or {}
            for action in result.get("actions") or ():
                if "pulled_image" in action:
                    yield Difference("image", action["pulled_image"], "not on this host")
            yield from _of_service(name, diff.get("before") or {}, diff.get("after") or {})
    removed = [one for one in _of(results, "__monitoring_removed").get("results", ()) if one.get("changed")]
    names = [one["item"] for one in removed]
    names += ["dcgm-exporter"] if _of(results, "__monitoring_dcgm_removed").get("changed") else []
    if _of(results, "__litellm_settled").get("changed"):
        yield Difference("container", f"litellm{NEXT}", "of an interrupted change of LiteLLM", "no container")
    for name in names:
        yield Difference("container", name, "exists", "no container")


def _of_service(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Without the values, which may be secrets, except those of images."""
    if after.get("exists"):
        yield Difference("container", name, "missing", "runs")
        return
    for part in ("image", "image_name"):
        if part in after:
            yield Difference("image", name, f"has {_short(before.get(part))}", _short(after[part]))
    parts = sorted({part.partition(".")[0] for part in {*before, *after}} - {"running", "image", "image_name"})
    if parts:
        yield Difference("container", name, f"differs in {', '.join(parts)}", _AS_INVENTORY)
    elif after.get("running") and "image" not in after and "image_name" not in after:
        yield Difference("container", name, "does not run", "runs")
    elif not after:
        yield Difference("container", name, "differs", _AS_INVENTORY)


def _of_networks(results: Mapping[str, Any]) -> Iterator[Difference]:
    """Networks that are recreated are among the checks."""
    networks = _of(_of(results, "__fleet_host"), "networks")
    for one in networks.get("create", ()):
        if one["name"] not in networks.get("recreate", ()):
            yield Difference("network", one["name"], "missing", _AS_INVENTORY)
    for name in networks.get("remove", ()):
        yield Difference("network", name, "exists", "no network")


def _of_files(results: Mapping[str, Any]) -> Iterator[Difference]:
    for variable in _FILES:
        result = _of(results, variable)
        texts = {one["before_header"]: one for one in result.get("diff") or ()}
        for path in result.get("paths", ()):
            # config.json has secrets: without a hash, against which someone could try values.
            yield _of_file(path, texts.get(path), shows=variable != "__fleet_files")
    for variable in _SECRETS:
        for path in _of(results, variable).get("files", ()):
            yield Difference("file", path, "differs", "as install writes it")
    for path in _of(results, "__caddy_config").get("others", ()):
        yield Difference("file", path, "exists", "no file")
    for variable in _LOOPS:
        for one in _of(results, variable).get("results", ()):
            if one.get("changed"):
                yield Difference("file", one.get("dest") or one.get("path") or str(one.get("item")), "differs")
    if _of(results, "__restore_kit").get("changed"):
        found = "differs from this machine's copy"
        yield Difference("file", "collections for the restore at boot", found, "the collections of this machine")
    if _of(results, "__restore_environment").get("changed"):
        yield Difference("file", "Python environment for the restore at boot", "differs", "the pinned packages")


def _of_file(path: str, text: Optional[Mapping[str, str]], shows: bool) -> Difference:
    """text: before and after; None for a folder."""
    if text is None:
        return Difference("file", path, "missing, or another owner or mode")
    if text["before"] == text["after"]:
        return Difference("file", path, "another owner, group or mode", _AS_INVENTORY)
    if not text["before"]:
        return Difference("file", path, "missing, empty or not text", _AS_INVENTORY)
    if not shows:
        return Difference("file", path, "another content", _AS_INVENTORY)
    return Difference("file", path, f"content {_hash(text['before'])}", _hash(text["after"]))


def _of_units(results: Mapping[str, Any]) -> Iterator[Difference]:
    for variable, unit in _UNITS.items():
        result = _of(results, variable)
        if result.get("changed") and not result.get("failed"):
            yield Difference("service", unit, "not started, or not enabled at boot")


def _of_keys(results: Mapping[str, Any]) -> Iterator[Difference]:
    for variable, playbook in _KEY_TASKS.items():
        for action in _of(results, variable).get("actions", ()):
            _verb, alias, reason = action.split(" ", 2)
            yield Difference("key", alias, reason.strip("()"), _AS_INVENTORY, playbook)
    fleet = _of(results, "fleet")
    for alias in _of(results, "__keys").get("others", ()):
        if alias != fleet.get("metrics_alias") and not alias.startswith(fleet.get("open_alias", alias + ".")):
            remedy = "add the key to fleet_keys, or with state: absent"
            yield Difference("key", alias, "in LiteLLM, in no inventory", "no key", remedy)


def _of_versions(results: Mapping[str, Any], versions: Mapping[str, Any]) -> Iterator[Difference]:
    newest = newest_kernel(versions["kernel"], versions["kernels"])
    if newest != versions["kernel"]:
        yield Difference("version", "kernel", f"{versions['kernel']} runs", f"{newest}, installed", "reboot the host")
    driver = versions["driver"]
    others = sorted({driver["library"], driver["module"]} - {None, driver["loaded"]})
    if driver["loaded"] and others:
        found, expected = f"{driver['loaded']} is loaded", f"{', '.join(others)}, installed"
        yield Difference("version", "NVIDIA driver", found, expected, "reboot the host")


def _of_clock(clock: Mapping[str, float]) -> Iterator[Difference]:
    if abs(clock["ahead"]) - clock["error"] > CLOCK_S:
        where = "ahead of" if clock["ahead"] > 0 else "behind"
        found = f"{abs(clock['ahead']):.1f} s {where} this machine's"
        yield Difference(
            "clock", "clock", found, f"within {CLOCK_S:g} s", "`timedatectl set-ntp true`, or install chrony"
        )


def _clocks(clocks: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """The clocks, if two hosts differ by more than CLOCK_S even if the measures were wrong by their errors."""
    latest = max((one["ahead"] - one["error"] for one in clocks.values()), default=0.0)
    earliest = min((one["ahead"] + one["error"] for one in clocks.values()), default=0.0)
    if latest - earliest <= CLOCK_S:
        return []
    values: dict[str, list[str]] = {}
    for host, one in clocks.items():
        values.setdefault(f"{one['ahead']:+.1f} s", []).append(host)
    return [{"name": "clock", "values": values, "remedy": _SET_CLOCK}]


def _unequal(name: str, hosts: Mapping[str, Mapping[str, Any]], key: str, remedy: str) -> list[dict[str, Any]]:
    values: dict[str, list[str]] = {}
    for host, one in hosts.items():
        if one[key] is not None:
            values.setdefault(one[key], []).append(host)
    return [{"name": name, "values": values, "remedy": remedy}] if len(values) > 1 else []


def _images(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The images of a host's containers, in the form that `images_that_differ` reads."""
    status = _of(_of(results, "__drift_status"), "status")
    return {"models": status.get("models", ()), "services": status.get("services", ())}


def _lines(entry: Mapping[str, Any]) -> list[str]:
    if entry["fault"]:
        return [_first(entry["fault"])]
    rows = [
        (one["kind"], one["name"], one["remedy"] or "-", _cut(one["found"]), _cut(one["expected"]) or "-")
        for one in entry["differences"]
    ]
    found = table([("KIND", "WHAT", "TO DO", "FOUND", "EXPECTED"), *rows]) if rows else ["no difference"]
    return [*drained_lines(entry["drained_since"]), *found]


def _sides(difference: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The values, those of most hosts first; the ID of an image shortened."""
    sides = [(_short(value), names) for value, names in difference["values"].items()]
    return sorted(sides, key=lambda side: (-len(side[1]), side[0]))


def _place(difference: Difference) -> tuple[int, str, str]:
    return KINDS.index(difference.kind), difference.name, difference.found


def _of(results: Mapping[str, Any], variable: str) -> Mapping[str, Any]:
    result = results.get(variable)
    return result if isinstance(result, Mapping) else {}


def _short(image: object) -> str:
    """The beginning of a digest or an ID; a reference as it is."""
    text = str(image)
    return text.partition(":")[2][:_SHORT] if re.fullmatch(r"sha256:[0-9a-f]{64}", text) else text


def _hash(text: str) -> str:
    return f"SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:_SHORT]}"


def _differ(count: int) -> str:
    return "1 difference" if count == 1 else f"{count} differences"


def _first(text: object) -> str:
    return next(iter(str(text).strip().splitlines()), "")


def _cut(text: str) -> str:
    line = _first(text)
    return line if len(line) <= _LONG else f"{line[:_LONG]}…"

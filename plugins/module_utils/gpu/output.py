# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parsing of what nvidia-smi prints, row by row, by the form of each row. Pure.

Column widths, headings and the compute instances' placement column differ between drivers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Optional, TypeVar
from xml.etree import ElementTree

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    Process,
    Profile,
    compute_slices,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

N = TypeVar("N", int, float)

_PROCESS_NAME = re.compile(r"(<process_name>)(.*?)(</process_name>\s*<used_memory>)", re.DOTALL)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9/._:@+=,-]")
_LOG_END = "</nvidia_smi_log>"
_WARNING = re.compile(r"\s*WARNING: ", re.IGNORECASE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_GPU = re.compile(r"^GPU (\d+): .*\(UUID: (GPU-\S+)\)", re.MULTILINE)
_DEVICE = re.compile(r"^\s+MIG \S+\s+Device\s+(\d+): \(UUID: (MIG-\S+)\)")
_PROFILE = re.compile(
    r"^\|\s+(?P<gpu>\d+)\s+MIG (?P<name>\S+)\s+(?P<id>\d+)\s+\d+/(?P<total>\d+)\s+(?P<memory>[\d.]+)\s+(?:Yes|No)"
    r"\s+\d+\s+(?P<dec>\d+)\s+(?P<enc>\d+)\s+\|\s*\n\|\s+\d+\s+(?P<jpeg>\d+)\s+(?P<ofa>\d+)\s+\|",
    re.MULTILINE,
)
_PLACEMENT = re.compile(r"^GPU\s+(\d+)\s+Profile ID\s+(\d+)\s+Placements?\s*:\s*\{([\d, ]+)\}:(\d+)", re.MULTILINE)
_INSTANCE = re.compile(r"^\|\s+(\d+)\s+MIG (\S+)\s+(\d+)\s+(\d+)\s+(\d+):(\d+)\s+\|", re.MULTILINE)
_COMPUTE = re.compile(r"^\|\s+(\d+)\s+(\d+)\s+MIG (\S+)\s+\d+\s+(\d+)(?:\s+(\d+):\d+)?\s+\|", re.MULTILINE)
_COMPUTE_PROFILE = re.compile(r"^\|\s+\d+\s+\d+\s+MIG (\S+)\s+(\d+)\*?\s+\d+/\d+\s", re.MULTILINE)
_FRAME = re.compile(r"\+[-=+]+\+")
_OLD_UUID = re.compile(r"MIG-(GPU-[0-9a-f-]+)/(\d+)/(\d+)")

Devices = Mapping[tuple[str, int], str]  # (GPU UUID, MIG device index) -> UUID
Named = Mapping[tuple[int, int], tuple[int, str]]  # by GPU instance ID and compute instance ID: index and UUID
Computes = Mapping[tuple[int, int], list[tuple[int, int, Optional[int]]]]  # by GPU index and GPU instance ID


def parse_list(text: str) -> tuple[dict[str, int], Devices]:
    """`-L`: the index of each GPU by its UUID, and its MIG devices."""
    gpus: dict[str, int] = {}
    devices: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        gpu, device = _GPU.match(line), _DEVICE.match(line)
        if gpu:
            gpus[gpu[2]] = int(gpu[1])
        elif device and gpus:
            devices[list(gpus)[-1], int(device[1])] = device[2]
    return gpus, devices


def split_warnings(text: str) -> tuple[str, tuple[str, ...]]:
    """What a call printed, and the warnings around it: lines such as `WARNING: infoROM is corrupted at
    gpu 0000:3B:00.0`; of `-q -x`, everything before and after the XML."""
    start, end = text.find("<?xml"), text.rfind(_LOG_END)
    if 0 <= start < end:
        end += len(_LOG_END)
        around = [*text[:start].splitlines(), *text[end:].splitlines()]
        return text[start:end], tuple(line.strip() for line in around if line.strip())
    lines = text.splitlines(keepends=True)
    warnings = tuple(line.strip() for line in lines if _WARNING.match(line))
    return "".join(line for line in lines if not _WARNING.match(line)), warnings


def with_plain_names(log: str) -> str:
    """`-q -x` with the names of processes in plain characters. A process, also one in a container, sets its own name:
    one such as `Unable to` or `<gpu>` must not look like an error or an element of nvidia-smi."""
    return _PROCESS_NAME.sub(lambda found: f"{found[1]}{_NOT_PLAIN.sub('_', found[2])}{found[3]}", log)


def check_table(text: str, what: str) -> str:
    """Returns the text. Raises FleetError for a table without a frame at its end: it was cut off."""
    lines = [line.strip() for line in text.splitlines()]
    last = max((place for place, line in enumerate(lines) if line.startswith("|")), default=len(lines))
    if not any(_FRAME.fullmatch(line) for line in lines[last:]):
        raise FleetError(f"nvidia-smi {what}: expected a table that ends with its frame, got {_end(text)}")
    return text


def check_placements(text: str) -> str:
    """Returns the text. Raises FleetError for a line of `mig -lgipp` that describes no profile."""
    for line in text.splitlines():
        if line.strip() and not _PLACEMENT.match(line):
            raise FleetError(f"nvidia-smi mig -lgipp: expected a profile's placements, got {show(line)}")
    return text


def _end(text: str) -> str:
    """The last non-empty line of a text, as quoted in a message."""
    lines = [line for line in text.splitlines() if line.strip()]
    return f"at its end {show(lines[-1])}" if lines else "nothing"


def parse_profiles(lgip: str, lgipp: str) -> dict[int, tuple[Profile, ...]]:
    """`mig -lgip` and `mig -lgipp`: by GPU index, the profiles that have a placement."""
    places = {(int(row[1]), int(row[2])): row for row in _PLACEMENT.finditer(lgipp)}
    profiles: dict[int, list[Profile]] = defaultdict(list)
    for row in _PROFILE.finditer(lgip):
        gpu, profile_id = int(row["gpu"]), int(row["id"])
        if (gpu, profile_id) in places:
            place = places[gpu, profile_id]
            profiles[gpu].append(
                Profile(
                    name=row["name"],
                    id=profile_id,
                    size=int(place[4]),
                    starts=tuple(map(int, place[3].split(","))),
                    total=int(row["total"]),
                    memory_gib=float(row["memory"]),
                    engines=sum(int(row[engine]) for engine in ("dec", "enc", "jpeg", "ofa")),
                )
            )
    return {gpu: tuple(offered) for gpu, offered in profiles.items()}


def parse_instances(lgi: str) -> dict[int, tuple[GpuInstance, ...]]:
    """`mig -lgi`: by GPU index, in the order of placement, without compute instances."""
    instances: dict[int, list[GpuInstance]] = defaultdict(list)
    for gpu, name, _profile, instance, start, size in _INSTANCE.findall(lgi):
        instances[int(gpu)].append(GpuInstance(int(instance), name, int(start), int(size)))
    return {gpu: tuple(sorted(found, key=lambda one: one.start or 0)) for gpu, found in instances.items()}


def parse_computes(lci: str) -> Computes:
    """`mig -lci`: (ID, compute slices, start) of each, by GPU index and GPU instance ID."""
    computes: dict[tuple[int, int], list[tuple[int, int, Optional[int]]]] = defaultdict(list)
    for gpu, instance, name, compute, start in _COMPUTE.findall(lci):
        computes[int(gpu), int(instance)].append((int(compute), compute_slices(name), int(start) if start else None))
    return computes


def parse_compute_profiles(lcip: str) -> dict[int, int]:
    """`mig -gi ID -lcip`: compute slices -> what `-cci` takes."""
    rows = [(compute_slices(name), int(profile)) for name, profile in _COMPUTE_PROFILE.findall(lcip)]
    return dict(reversed(rows))  # of two profiles with the same slices, the first, which has no extensions


def parse_topology(text: str) -> dict[int, dict[int, int]]:
    """`topo -m`: GPU index -> index of a linked GPU -> number of NVLinks."""
    lines = [_ANSI.sub("", line).split() for line in text.splitlines()]
    heads = next((words for words in lines if words[:1] == ["GPU0"] and "X" not in words), [])
    columns = [word for word in heads if re.fullmatch(r"GPU\d+", word)]
    links: dict[int, dict[int, int]] = {}
    for words in lines:
        if words and words[0] in columns and "X" in words:
            cells = ((int(head[3:]), re.fullmatch(r"NV(\d+)", cell)) for head, cell in zip(columns, words[1:]))
            links[int(words[0][3:])] = {other: int(cell[1]) for other, cell in cells if cell}
    if not columns or len(links) < len(columns):
        raise FleetError(f"nvidia-smi topo -m: expected a matrix with a row for each GPU, got {_end(text)}")
    return links


def parse_log(
    xml: str,
    listing: str,
    profiles: Mapping[int, tuple[Profile, ...]],
    instances: Mapping[int, tuple[GpuInstance, ...]],
    computes: Computes,
    links: Mapping[int, Mapping[int, int]],
) -> tuple[Gpu, ...]:
    """`-q -x` combined with the other listings. Raises FleetError where `xml` is not such a log, or
    where the other listings contradict it."""
    try:
        log = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise FleetError(f"nvidia-smi -q -x: expected XML, got {show(xml.strip())} ({error})") from error
    indices, devices = parse_list(listing)
    driver = _text(log, "driver_version") or ""
    gpus = []
    for node in log.findall("gpu"):
        if _need(node, "uuid") not in indices:
            raise FleetError(f"nvidia-smi -L: expected a line with {_need(node, 'uuid')}, got {_end(listing)}")
        index = indices[_need(node, "uuid")]
        uuids = _uuids(node, devices)
        own = tuple(
            _with_computes(one, computes.get((index, one.id or 0), []), uuids) for one in instances.get(index, ())
        )
        _check_devices(index, node, own)
        gpus.append(
            Gpu(
                index=index,
                uuid=_need(node, "uuid"),
                name=_need(node, "product_name"),
                bus_id=node.get("id") or "",
                minor=_number(node, "minor_number", int),
                memory=_number(node, "fb_memory_usage/total", int),
                driver=driver,
                cuda=_text(log, "cuda_version") or _text(log, "cuda_umd_version"),
                architecture=_text(node, "product_architecture"),
                brand=_text(node, "product_brand"),
                fabric_state=_text(node, "fabric/state"),
                fabric_status=_text(node, "fabric/status"),
                power_limit=_power_limit(node),
                persistence=_on(node, "persistence_mode"),
                mig=_on(node, "mig_mode/current_mig"),
                mig_pending=_on(node, "mig_mode/pending_mig"),
                links=links.get(index, {}),
                processes=tuple(map(_process, node.findall("processes/process_info"))),
                profiles=profiles.get(index, ()),
                instances=own,
            )
        )
    return tuple(sorted(gpus, key=lambda gpu: gpu.index))


def _check_devices(gpu: int, node: ElementTree.Element, instances: tuple[GpuInstance, ...]) -> None:
    """Raises FleetError where the listings contradict each other: each is a separate call."""
    logged = {_place(device) for device in node.findall("mig_devices/mig_device")}
    listed = {(one.id or 0, part.id) for one in instances for part in one.compute}
    named = {(one.id or 0, part.id) for one in instances for part in one.compute if part.uuid}
    if not logged == listed == named:
        sources = (("-q -x", logged), ("mig -lgi and -lci", listed), ("-L", named))
        which = "; ".join(f"{source}: {_counted(places)}" for source, places in sources)
        raise FleetError(
            f"nvidia-smi: GPU {gpu}: its listings show different MIG devices (GPU instance/compute instance): "
            f"{which}. The MIG devices changed meanwhile, or an answer was cut off: run again"
        )


def _counted(places: set[tuple[int, int]]) -> str:
    return ", ".join(f"{instance}/{compute}" for instance, compute in sorted(places)) or "none"


def _place(device: ElementTree.Element) -> tuple[int, int]:
    """GPU instance ID and compute instance ID of a MIG device."""
    return _number(device, "gpu_instance_id", int) or 0, _number(device, "compute_instance_id", int) or 0


def _uuids(node: ElementTree.Element, devices: Devices) -> Named:
    """(GPU instance ID, compute instance ID) -> index and UUID of the MIG device."""
    gpu = _need(node, "uuid")
    named: dict[tuple[int, int], tuple[int, str]] = {}
    for (parent, index), uuid in devices.items():
        old = _OLD_UUID.fullmatch(uuid)
        if parent == gpu and old:
            named[int(old[2]), int(old[3])] = index, uuid
        elif parent == gpu:
            for device in node.findall("mig_devices/mig_device"):
                if _number(device, "index", int) == index:
                    named[_place(device)] = index, uuid
    return named


def _with_computes(instance: GpuInstance, computes: list[tuple[int, int, Optional[int]]], named: Named) -> GpuInstance:
    parts = []
    for number, slices, start in sorted(computes, key=lambda part: (part[2] or 0, part[0])):
        index, uuid = named.get((instance.id or 0, number), (None, None))
        parts.append(ComputeInstance(number, slices, start, uuid, index))
    return replace(instance, compute=tuple(parts))


def _process(node: ElementTree.Element) -> Process:
    return Process(
        pid=_number(node, "pid", int) or 0,
        name=_text(node, "process_name") or "",
        gpu_instance=_number(node, "gpu_instance_id", int),
        compute_instance=_number(node, "compute_instance_id", int),
    )


def _power_limit(node: ElementTree.Element) -> Optional[float]:
    """Driver 535 moved the power limit to another element of the log."""
    for path in ("gpu_power_readings/current_power_limit", "power_readings/power_limit"):
        limit = _number(node, path, float)
        if limit is not None:
            return limit
    return None


def _text(node: ElementTree.Element, path: str) -> Optional[str]:
    text = (node.findtext(path) or "").strip()
    return None if text in ("", "N/A", "[N/A]", "Not Supported") else text


def _need(node: ElementTree.Element, path: str) -> str:
    text = _text(node, path)
    if text is None:
        raise FleetError(f"nvidia-smi -q -x: GPU {node.get('id')} has no {path}")
    return text


def _number(node: ElementTree.Element, path: str, kind: Callable[[str], N]) -> Optional[N]:
    """The first word as a number; None if it is not a number."""
    try:
        return kind((_text(node, path) or "").partition(" ")[0])
    except ValueError:
        return None


def _on(node: ElementTree.Element, path: str) -> Optional[bool]:
    return {"Enabled": True, "Disabled": False}.get(_text(node, path) or "")

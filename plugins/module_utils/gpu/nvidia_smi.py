# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nvidia-smi on this host. All I/O of the package gpu is here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Step
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nodes import parse_minors
from ansible_collections.inference.fleet.plugins.module_utils.gpu.output import (
    check_placements,
    check_table,
    parse_compute_profiles,
    parse_computes,
    parse_instances,
    parse_log,
    parse_profiles,
    parse_topology,
    split_warnings,
    with_plain_names,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.plugins.module_utils.system.work import held

QUERY_SECONDS = 60  # without the persistence daemon every call reloads the driver
MIG_MINORS = Path("/proc/driver/nvidia-caps/mig-minors")
CHANGE_SECONDS = 180  # a GPU reset waits for the GPU

_NO_DRIVER = (
    "couldn't communicate with the NVIDIA driver",
    "No devices were found",
    "No devices found",
)
_EMPTY = ("instances found: Not Found", "No MIG-enabled devices found", "No MIG-supported devices found")
CORRUPT_INFOROM = 14  # "infoROM is corrupted" (nvidia-smi(1), "RETURN VALUE"): the call did its work
# Text in nvidia-smi's output -> what to do.
_REMEDIES = {
    "Driver/library version mismatch": "the driver was updated while an older one is loaded: reboot the host",
    "GPU is lost": "the GPU has fallen off the bus: reboot the host, and look at `dmesg | grep -i xid`",
    "In use by another client": "stop what holds the GPU (inference.fleet.gpu_info names it) and run again",
    "Insufficient Resources": "the instances on the GPU changed after they were read: run again",
    "Insufficient Permissions": "it has to run as root",
}


@dataclass(frozen=True)
class Answer:
    status: int
    text: str  # both streams


@dataclass(frozen=True)
class Observation:
    """note: why there are no GPUs, for display; empty where there are some. warnings: what nvidia-smi
    printed around its answers, one line each."""

    gpus: tuple[Gpu, ...]
    note: str = ""
    warnings: tuple[str, ...] = ()


def run_limited(command: Sequence[str], seconds: int) -> Answer:
    """Raises FleetError where the command cannot be started, and when it has not ended in time, which kills it."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
            # A change goes on after its module was killed: no other module works before its end.
            pass_fds=held() if seconds == CHANGE_SECONDS else (),
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise FleetError(f"{command[0]}: cannot be started: {words_of(error)}") from error
    try:
        text, _nothing = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=5)  # a process that waits inside the driver cannot be killed: leave it
        raise FleetError(
            f"{' '.join(['nvidia-smi', *command[1:]])}: no answer after {seconds} s; the driver hangs: "
            f"look at `dmesg | grep -iE 'xid|nvrm'`; most often only a reboot helps"
        ) from late
    return Answer(process.returncode, text)


def device_nodes() -> tuple[frozenset[str], dict[str, int]]:
    """NVIDIA's character devices on the host, and the minor numbers of MIG's."""
    paths = [*Path("/dev").glob("nvidia*"), *Path("/dev/nvidia-caps").glob("nvidia-cap*")]
    minors = MIG_MINORS.read_text() if MIG_MINORS.exists() else ""
    return frozenset(str(path) for path in paths if path.is_char_device()), parse_minors(minors)


class NvidiaSmi:
    """path: of the program; None if it is not installed."""

    def __init__(self, path: Optional[str] = None, run: Callable[[Sequence[str], int], Answer] = run_limited) -> None:
        self._path = path or shutil.which("nvidia-smi")
        self._run = run
        self._warnings: list[str] = []

    def observe(self) -> Observation:
        """All GPUs of the host. A host without GPUs or driver is an observation with a note."""
        if not self._path:
            return Observation((), "no nvidia-smi on this host: the NVIDIA driver is not installed")
        log = self._run([self._path, "-q", "-x"], QUERY_SECONDS)
        log = replace(log, text=with_plain_names(log.text))
        for words in _NO_DRIVER:
            if words in log.text:
                return Observation((), f"nvidia-smi: {_one_line(log.text)}")
        self._warnings = []
        xml = self._read(log, "-q -x")
        listing = self._ask("-L")
        mig = "<current_mig>Enabled" in xml
        # Newer drivers also list the profiles of GPUs with MIG mode off.
        capable = mig or "<current_mig>Disabled" in xml
        profiles = parse_profiles(self._list("-lgip"), self._list("-lgipp")) if capable else {}
        if mig and not profiles:
            raise FleetError("nvidia-smi mig -lgip, -lgipp: MIG is on, but no profile with a placement is listed")
        instances = parse_instances(self._list("-lgi")) if mig else {}
        computes = parse_computes(self._list("-lci")) if instances else {}
        links = parse_topology(self._ask("topo", "-m")) if xml.count("<gpu id=") > 1 else {}
        gpus = parse_log(xml, listing, profiles, instances, computes, links)
        return Observation(gpus, warnings=tuple(dict.fromkeys(self._warnings)))

    def observe_some(self) -> tuple[Gpu, ...]:
        """As `observe`, but raises FleetError with the note where the host has no GPU."""
        observed = self.observe()
        if not observed.gpus:
            raise FleetError(f"GPUs are asked for, and there are none: {observed.note}")
        return observed.gpus

    def carry_out(self, step: Step) -> None:
        """Raises FleetError with nvidia-smi's output."""
        gpu = ("-i", str(step.gpu))
        if step.verb in ("enable", "disable"):
            self._change(*gpu, "-mig", "1" if step.verb == "enable" else "0")
        elif step.verb == "reset":
            self._reset(step.gpu)
        elif step.verb == "create":
            self._create(step)
        else:
            for compute in step.destroys:
                self._change("mig", *gpu, "-gi", str(step.instance), "-ci", str(compute), "-dci")
            if step.verb == "destroy":
                self._change("mig", *gpu, "-gi", str(step.instance), "-dgi")
            if step.verb == "divide" and step.instance is not None and step.computes:
                self._divide(step, step.instance)

    def _reset(self, gpu: int) -> None:
        """For a pending MIG mode; does nothing where the mode took effect at once."""
        query = "--query-gpu=mig.mode.current,mig.mode.pending"
        answer = self._ask("-i", str(gpu), query, "--format=csv,noheader").strip()
        modes = answer.split(", ")
        if len(modes) != 2 or not set(modes) <= {"Enabled", "Disabled"}:
            raise FleetError(f"nvidia-smi {query}: expected Enabled or Disabled for each, got {show(answer)}")
        if modes[0] == modes[1]:
            return
        try:
            self._change("-i", str(gpu), "--gpu-reset")
        except FleetError as error:
            raise FleetError(f"{error}; MIG mode is pending on GPU {gpu}: a reboot also applies it") from error

    def _create(self, step: Step) -> None:
        profile = f"{step.profile_id}:{step.start}"
        whole = [] if step.computes else ["-C"]
        self._change("mig", "-i", str(step.gpu), "-cgi", profile, *whole)
        if step.computes:
            self._divide(step, self._instance_at(step))

    def _instance_at(self, step: Step) -> int:
        """The ID of the GPU instance just created; some drivers do not print it on creation."""
        for one in parse_instances(self._list("-lgi")).get(step.gpu, ()):
            if one.id is not None and (one.profile, one.start) == (step.profile, step.start):
                return one.id
        placed = f"{step.profile} at {step.start}"
        raise FleetError(f"nvidia-smi mig -lgi: {placed} was created on GPU {step.gpu} and is gone")

    def _divide(self, step: Step, instance: int) -> None:
        """Create compute instances in a GPU instance, with the profiles that the GPU itself lists."""
        where = ("mig", "-i", str(step.gpu), "-gi", str(instance))
        offered = parse_compute_profiles(check_table(self._ask(*where, "-lcip"), "mig -lcip"))
        for slices in step.computes:
            if slices not in offered:
                raise FleetError(
                    f"GPU {step.gpu}: {step.profile} offers no compute instance of {slices} slices; "
                    f"it has {', '.join(f'{one}c' for one in sorted(offered)) or 'none'}"
                )
            self._change(*where, "-cci", str(offered[slices]))

    def _ask(self, *arguments: str) -> str:
        return self._read(self._run([self._path or "", *arguments], QUERY_SECONDS), " ".join(arguments))

    def _list(self, what: str) -> str:
        """A listing of `nvidia-smi mig`; nvidia-smi fails where the listing would be empty."""
        answer = self._run([self._path or "", "mig", what], QUERY_SECONDS)
        if any(words in answer.text for words in _EMPTY):
            return ""
        text = self._read(answer, f"mig {what}")
        return check_placements(text) if what == "-lgipp" else check_table(text, f"mig {what}")

    def _read(self, answer: Answer, what: str) -> str:
        """The text without its warnings, which are kept for the observation."""
        text, warnings = split_warnings(_checked(answer, what))
        self._warnings += warnings
        return text

    def _change(self, *arguments: str) -> str:
        return _checked(self._run([self._path or "", *arguments], CHANGE_SECONDS), " ".join(arguments))


def _checked(answer: Answer, what: str) -> str:
    """The text of the answer. Raises FleetError with nvidia-smi's output and what to do."""
    if answer.status in (0, CORRUPT_INFOROM) and "Unable to " not in answer.text:
        return answer.text
    remedy = next((f"; {remedy}" for words, remedy in _REMEDIES.items() if words in answer.text), "")
    words = _one_line(answer.text) or "no output"
    raise FleetError(f"nvidia-smi {what}: ended with {answer.status}: {words}{remedy}")


def _one_line(text: str) -> str:
    line = " / ".join(line.strip() for line in text.splitlines() if line.strip())
    return line if len(line) <= 300 else show(line)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks images for the options of their `vllm serve`, and keeps the answers by image ID where it may.

A container without a GPU and without a network runs option_program, and is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Union
from urllib.parse import quote

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import CAPABILITIES, MOST_PROCESSES
from ansible_collections.inference.fleet.plugins.module_utils.preflight import option_program
from ansible_collections.inference.fleet.plugins.module_utils.preflight.options import (
    Program,
    Table,
    parse_table,
    program_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.system import foreign_json
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import ask, request
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, printable

# To import vLLM and its libraries from a cold disk; measured: 12 s of processor time for vLLM 0.32.
ANSWER_SECONDS = 300
_MOST_BYTES = 1 << 20  # of the program's JSON; that of vLLM 0.33 has 26 kB
_LONGEST = 200  # characters of a program's own words in a message
_FORM = "-2"  # of the answers: 2 since they have the names of parsers
_ENVIRONMENT = (
    "NVIDIA_VISIBLE_DEVICES=void",  # where NVIDIA's runtime is the default, images ask for all GPUs
    "VLLM_LOGGING_LEVEL=ERROR",
    "VLLM_NO_USAGE_STATS=1",
)


def image_options(
    fleet: Fleet, folder: str, may_ask: bool = True, may_keep: bool = True
) -> dict[Program, Union[Table, str]]:
    """The options of each program whose image is on the host, or the reason why they are not known.

    folder: where the answers are kept; those of images that no model has any more are removed. may_ask: whether
    containers may run; else only kept answers count. may_keep: whether the folder may change.
    """
    found: dict[Program, Union[Table, str]] = {}
    kept = set()
    asked = [model for model in fleet.models if model.containers and (model.args or model.added_args)]
    for program in {program_of(fleet, model): None for model in asked}:
        image: Mapping[str, Any] = ask(f"/images/{quote(program.image, safe='/:@')}/json") or {}
        if not image:
            continue
        file = Path(folder, image["Id"].rpartition(":")[2] + _FORM + ("-omni.json" if program.omni else ".json"))
        kept.add(file.name)
        try:
            found[program] = parse_table(foreign_json.parse(file.read_bytes()))
            continue
        except (OSError, ValueError, FleetError):
            pass  # not asked yet, or damaged
        if may_ask:
            try:
                answer, data = _answer(image["Id"], program.omni)
                found[program] = parse_table(data)
                if may_keep:
                    _keep(file, answer)
            except FleetError as error:
                found[program] = str(error)
    if may_keep:
        _remove_others(Path(folder), kept)
    return found


def _answer(image: str, omni: bool) -> tuple[bytes, Any]:
    """What the program printed, and its data. Raises FleetError with the reason where there is no answer."""
    name = f"inference-fleet-options-{image.rpartition(':')[2][:12]}"
    request("DELETE", f"/containers/{name}")  # of a run that was killed; one that runs stays
    container = {
        "Image": image,
        "Entrypoint": ["python3", "-c", _program()],
        "Cmd": ["--omni"] if omni else [],
        "Env": list(_ENVIRONMENT),
        "Labels": {"managed-by": MANAGED_BY, "service": "options"},
        "HostConfig": {
            "NetworkMode": "none",
            # One file, so that Docker keeps and returns no more than that, whatever the image prints.
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "16m", "max-file": "1"}},
            "CapDrop": ["ALL"],
            "CapAdd": list(CAPABILITIES),
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": MOST_PROCESSES,
        },
    }
    made = _done("POST", f"/containers/create?name={name}", container)["Id"]
    try:
        _done("POST", f"/containers/{made}/start")
        ended = _done("POST", f"/containers/{made}/wait", seconds=ANSWER_SECONDS)
        status, log = request("GET", f"/containers/{made}/logs?stdout=1&stderr=1")
    finally:
        request("DELETE", f"/containers/{made}?force=1&v=1")
    text = _text(log) if status == 200 else b""
    _before, mark, rest = text.rpartition(option_program.MARK.encode())
    answer = rest.partition(b"\n")[0]
    if mark and len(answer) <= _MOST_BYTES:
        with suppress(ValueError):  # cut off, or made to hurt
            return answer, foreign_json.parse(answer)
    last = text.rstrip().rpartition(b"\n")[2].rpartition(b"\r")[2] or b"no output"
    words = printable(last[: 4 * _LONGEST].decode(errors="replace")).strip()[:_LONGEST]
    raise FleetError(f"python3 ended with {ended.get('StatusCode')}: {words}")


def _program() -> str:
    """Its source, also out of the archive in which Ansible brings it to the host."""
    source = option_program.__loader__.get_source(option_program.__name__)  # type: ignore[union-attr]
    return str(source)


def _done(method: str, path: str, body: Any = None, seconds: float = 60) -> Mapping[str, Any]:
    status, answer = request(method, path, body, seconds)
    try:
        data = json.loads(answer) if answer.startswith(b"{") else {}
    except ValueError:
        raise FleetError("Docker's answer is incomplete") from None
    if status not in (200, 201, 204):
        unsaid = f"Docker answers with {status}" if status else f"no answer within {seconds:.0f} s"
        raise FleetError(str(data.get("message") or unsaid)[:_LONGEST])
    return data


def _text(log: bytes) -> bytes:
    """A container's log without the frames that separate its two streams (Engine API, "Attach to a container")."""
    parts = {1: bytearray(), 2: bytearray()}
    view, place = memoryview(log), 0
    while place + 8 <= len(log):
        end = place + 8 + int.from_bytes(view[place + 4 : place + 8], "big")
        if log[place] in parts:
            parts[log[place]] += view[place + 8 : end]
        place = end
    return bytes(parts[2] + b"\n" + parts[1])


def _keep(file: Path, answer: bytes) -> None:
    """Raises FleetError where it cannot be written."""
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_bytes(answer)
        new.replace(file)
    except OSError as error:
        raise FleetError(f"{file}: cannot be written: {error.strerror}") from error


def _remove_others(folder: Path, kept: set[str]) -> None:
    for file in folder.glob("*.json") if folder.is_dir() else ():
        if file.name not in kept:
            file.unlink()

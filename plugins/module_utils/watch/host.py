# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at a host: what Docker, the engines, nvidia-smi and Prometheus say. All I/O but Docker's."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional
from urllib.parse import urlencode

from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import SHOW_UNIT, last_restore
from ansible_collections.inference.fleet.plugins.module_utils.engine.health import is_healthy
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import (
    CACHE_VOLUME,
    LOCK,
    RESTORE_RECORD,
    Paths,
    drained_since,
)
from ansible_collections.inference.fleet.plugins.module_utils.watch.containers import Seen, digest, with_answers
from ansible_collections.inference.fleet.plugins.module_utils.watch.engine import Engine
from ansible_collections.inference.fleet.plugins.module_utils.watch.metrics import KEY_QUERIES, QUERIES, firing, rates
from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import (
    root_certificate,
)
from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import bounded, text

READY_S = 1.5  # for an answer to /health: a hanging engine delays nothing longer
AGAIN_S = 2.0  # between two looks at replicas that do not answer yet
STILL_S = 10.0  # between two looks at replicas that answer
PROMETHEUS_S = 2.0
_PORT = 9090
_MOST_ANSWER = 4_000_000  # bytes
_MOST_FILE = 1_000_000
_MOST_ARCHIVE = 32_768
_MOST_AT_ONCE = 64
_ROOT = "/data/caddy/pki/authorities/local/root.crt"


class Host:
    """config_folder: of the host, with the mark of a drain."""

    def __init__(self, engine: Engine, config_folder: str) -> None:
        self._engine = engine
        self._paths = Paths(config_folder)

    def wait(self, seconds: float, seen: str) -> tuple[tuple[Seen, ...], tuple[str, str]]:
        """The containers, and since when the host is drained and a run changed it, once their digest is not `seen`, or
        after the time."""
        deadline = time.monotonic() + seconds
        while True:
            containers, marks = self._ready(self._engine.ours()), (self.drained(), self.ran())
            left = deadline - time.monotonic()
            if left <= 0 or digest(containers, *marks) != seen:
                return containers, marks
            waits = any(one.may_answer and not one.ready for one in containers)
            self._engine.wait(min(left, AGAIN_S if waits else STILL_S))

    def now(self, containers: Sequence[Seen], figures: bool) -> dict[str, Any]:
        """What changes by itself. figures: whether nvidia-smi is asked."""
        prometheus = _address(containers, "prometheus")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(_smi().gpu_figures) if figures else None
            found = ask_prometheus(prometheus) if prometheus else {"metrics": None, "alerts": None}
            gpus, note = asked.result() if asked else ([], "")
        return {"figures": gpus, "gpu_note": note, **found}

    def details(self, cache: str, containers: Sequence[Seen]) -> dict[str, Any]:
        """cache: the folder of the weights; empty if they are in a volume of Docker."""
        from ansible_collections.inference.fleet.plugins.module_utils.watch import holdings

        address, prometheus = (_address(containers, name) for name in ("litellm", "prometheus"))
        master_key = read(f"{self._paths.secrets}/master_key") or ""
        folder = cache or text((self._engine.ask(f"/volumes/{CACHE_VOLUME}") or {}).get("Mountpoint"), 4096)
        return {
            **self._gpus(),
            "last_restore": last_restore_of_host(),
            "disk": disk(cache or text((self._engine.ask("/info") or {}).get("DockerRootDir"), 4096)),
            "root_certificate": self._root_certificate(),
            "keys": with_uses(
                holdings.spends(address, master_key.strip()) if address and master_key else None,
                ask_uses(prometheus) if prometheus else {},
            ),
            "weights": holdings.weights(folder) if folder else None,
        }

    def drained(self) -> str:
        return text(drained_since(read(self._paths.drained)))

    def ran(self) -> str:
        """When a run began or ended. It may have partitioned GPUs, which is no event of Docker."""
        try:
            return str(os.stat(LOCK).st_mtime_ns)
        except OSError:  # no run since the last boot
            return ""

    def _ready(self, containers: tuple[Seen, ...]) -> tuple[Seen, ...]:
        asked = [one for one in containers if one.may_answer]
        if not asked:
            return containers
        with ThreadPoolExecutor(min(len(asked), _MOST_AT_ONCE)) as pool:
            answers = pool.map(lambda one: is_healthy(one.address, seconds=READY_S), asked)
            return with_answers(containers, {one.id: ready for one, ready in zip(asked, answers)})

    def _gpus(self) -> dict[str, Any]:
        if not shutil.which("nvidia-smi"):
            return {"gpus": [], "gpu_note": "", "devices": {}}
        containers = [HostContainer.parse(one) for one in self._engine.containers(all_of_host=True)]
        layout: dict[str, Any] = _smi().layout_of_gpus(containers)
        return layout

    def _root_certificate(self) -> Optional[str]:
        content = self._engine.archived("caddy", _ROOT, _MOST_ARCHIVE)
        return root_certificate(member(content)) if content else None


def _address(containers: Sequence[Seen], service: str) -> str:
    """Of a service that runs; empty if it does not."""
    return next((one.address for one in containers if one.service == service and one.status == "running"), "") or ""


def ask_uses(address: str, port: int = _PORT) -> dict[str, dict[str, float]]:
    """Requests and tokens of the last 24 hours by the alias of the virtual key; empty if Prometheus does not answer in
    time."""
    connection = http.client.HTTPConnection(address, port, timeout=PROMETHEUS_S)
    try:
        return {name: found or {} for name, found in _values(connection, KEY_QUERIES, "api_key_alias").items()}
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def with_uses(
    keys: Optional[list[dict[str, Any]]], uses: Mapping[str, Mapping[str, float]]
) -> Optional[list[dict[str, Any]]]:
    """The keys with what each used; null where Prometheus does not say it."""
    known = {name: uses.get(name) for name in KEY_QUERIES}
    return keys and [
        {**one, **{name: None if use is None else use.get(one["alias"], 0.0) for name, use in known.items()}}
        for one in keys
    ]


def _smi() -> Any:
    """Imported only on hosts with GPUs: the host compiles what a module imports at each call."""
    from ansible_collections.inference.fleet.plugins.module_utils.watch import smi

    return smi


def ask_prometheus(address: str, port: int = _PORT) -> dict[str, Any]:
    """Rates by model and the alerts that fire; None for what Prometheus does not answer in time."""
    connection = http.client.HTTPConnection(address, port, timeout=PROMETHEUS_S)
    try:
        metrics = _values(connection, QUERIES, "model")
        alerts = firing(_answer(connection, "/api/v1/alerts"))
    except (OSError, http.client.HTTPException, ValueError):
        return {"metrics": None, "alerts": None}
    finally:
        connection.close()
    return {"metrics": None if None in metrics.values() else metrics, "alerts": alerts}


def _values(
    connection: http.client.HTTPConnection, queries: Mapping[str, str], by: str
) -> dict[str, Optional[dict[str, float]]]:
    """Name of a query -> what `rates` reads of its answer."""
    paths = {name: f"/api/v1/query?{urlencode({'query': query})}" for name, query in queries.items()}
    return {name: rates(_answer(connection, path), by) for name, path in paths.items()}


def _answer(connection: http.client.HTTPConnection, path: str) -> Any:
    """Raises ValueError for what is no JSON, and for more than a rule with many labels can cause."""
    connection.request("GET", path)
    content = connection.getresponse().read(_MOST_ANSWER)
    if len(content) == _MOST_ANSWER:
        raise ValueError("the answer is too long")
    return json.loads(content)


def last_restore_of_host() -> Any:
    try:
        done = subprocess.run(SHOW_UNIT, capture_output=True, text=True, check=False, timeout=5)
        unit = done.stdout if done.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        unit = ""  # without systemd
    return bounded(last_restore(read(RESTORE_RECORD) or "", unit))


def disk(folder: str) -> Optional[dict[str, int]]:
    """Of the file system with the folder, or with the nearest folder above it that exists."""
    if not folder.startswith("/"):
        return None
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder.rstrip("/")) or "/"
    found = os.statvfs(folder)
    return {"free_bytes": found.f_bavail * found.f_frsize, "total_bytes": found.f_blocks * found.f_frsize}


def read(path: str) -> Optional[str]:
    """The beginning of a file of root's; None if there is none."""
    try:
        with open(path, errors="replace") as file:
            return file.read(_MOST_FILE)
    except OSError:
        return None


def member(archive: bytes) -> str:
    """The text of the only file in the beginning of a tar archive; empty for anything else, such as a link."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r|") as files:
            first = files.next()
            file = files.extractfile(first) if first and first.isreg() else None
            return file.read(_MOST_ARCHIVE).decode("ascii", "replace") if file else ""
    except (tarfile.TarError, OSError, EOFError):
        return ""

"""NOT the DCGM exporter: a stand-in that serves the series that its counters file asks for, with the exporter's names,
labels and units and values that are made up.

It cannot ask a driver what GPUs there are. A test sets them, as JSON in /tmp/gpus.json: a list of
{gpu, uuid, instance, profile}, as inference.fleet.gpu_info returns `devices`; `xid` sets a GPU's last error.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GPUS = Path("/tmp/gpus.json")
STARTED = time.time()
# Not reported of a GPU instance (DCGM's documentation of MIG: utilization is a GPU's as a whole).
WHOLE_ONLY = {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL"}


def value(field: str, one: dict[str, Any]) -> float:
    """Made up: a load that rises and falls, of another phase on each device."""
    place = one["gpu"] * 7 + (one["instance"] or 0)
    load = 0.5 + 0.45 * math.sin((time.time() - STARTED) / 40 + place)
    return {
        "DCGM_FI_DEV_SM_CLOCK": 1410,
        "DCGM_FI_DEV_GPU_TEMP": 38 + 30 * load,
        "DCGM_FI_DEV_POWER_USAGE": 60 + 300 * load,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": (time.time() - STARTED) * 210_000,
        "DCGM_FI_DEV_GPU_UTIL": 100 * load,
        "DCGM_FI_DEV_MEM_COPY_UTIL": 40 * load,
        "DCGM_FI_DEV_XID_ERRORS": one.get("xid", 0),
        "DCGM_FI_DEV_FB_FREE": 40_000 * (1 - load) / (one["instance"] is None or 2),
        "DCGM_FI_DEV_FB_USED": 40_000 * load / (one["instance"] is None or 2),
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": load,
    }[field]


def labels(field: str, one: dict[str, Any]) -> str:
    reported = {
        "gpu": str(one["gpu"]),
        "UUID": one["uuid"],
        "pci_bus_id": f"00000000:{one['gpu'] + 7:02X}:00.0",
        "device": f"nvidia{one['gpu']}",
        "modelName": "NVIDIA A100-SXM4-40GB",
    }
    if one["instance"] is not None:
        reported |= {"GPU_I_PROFILE": one["profile"], "GPU_I_ID": str(one["instance"])}
    reported |= {"Hostname": "stand-in", "DCGM_FI_DRIVER_VERSION": "550.90.07"}
    if field == "DCGM_FI_DEV_XID_ERRORS":
        reported |= {"err_code": str(one.get("xid", 0)), "err_msg": "stand-in" if one.get("xid") else "No Error"}
    return ",".join(f'{name}="{value}"' for name, value in reported.items())


def exposition(counters: Path) -> str:
    lines = []
    gpus = json.loads(GPUS.read_text()) if GPUS.exists() else []
    for line in counters.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        field, kind, about = (part.strip() for part in line.split(",", 2))
        lines += [f"# HELP {field} {about}", f"# TYPE {field} {kind}"]
        lines += [
            f"{field}{{{labels(field, one)}}} {value(field, one)}"
            for one in gpus
            if one["instance"] is None or field not in WHOLE_ONLY
        ]
    return "\n".join(lines) + "\n"


class Answer(BaseHTTPRequestHandler):
    counters: Path

    def do_GET(self) -> None:
        body = exposition(self.counters).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing of every scrape."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parser = argparse.ArgumentParser()
    parser.add_argument("-f", "--collectors", type=Path, required=True)
    Answer.counters = parser.parse_args().collectors
    exposition(Answer.counters)
    ThreadingHTTPServer(("", 9400), Answer).serve_forever()

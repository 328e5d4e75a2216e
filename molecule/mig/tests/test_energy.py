"""What the models' energy is: counted on the host, by the slices that they hold, and reported from here."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import ENERGY, GAP, Row
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import ENERGY as FOLDER
from lab.fixtures import Admin, inspect, wait_until
from testinfra.host import Host

testinfra_hosts = ["ansible://ampere"]
UNIT = "inference-fleet-energy"
PROGRAM = "ansible_collections.inference.fleet.plugins.module_utils.energy.sampler"
WATTS = {"0": 280, "1": 400}
SECONDS = 5
# Of the seven compute slices that GPU 0 is cut into.
SLICES = {"half": 3, "small": 2, "": 2}


def rows(host: Host) -> list[Row]:
    lines = host.run(f"cat {FOLDER}/energy-*.csv").stdout.splitlines()
    return [row for row in map(Row.parse, lines) if row]


def gpus(host: Host) -> list[str]:
    return host.check_output("nvidia-smi --query-gpu=uuid --format=csv,noheader").split()


@pytest.fixture(scope="module")
def counted(host: Host) -> Iterator[list[Row]]:
    """Some seconds of known power, with a restart of the service in the middle."""
    host.check_output(f"echo '{json.dumps(WATTS)}' > /run/simulated-nvidia/power.json")
    host.check_output(f"systemctl restart {UNIT}")
    before = len(rows(host))
    host.check_output(f"sleep {SECONDS}; systemctl restart {UNIT}; sleep {SECONDS}; systemctl restart {UNIT}")
    yield rows(host)[before:]
    host.check_output("rm /run/simulated-nvidia/power.json")


def test_the_service_runs_now_and_after_every_boot(host: Host) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    assert host.file(FOLDER).mode == 0o755
    process = host.process.get(user="root", ppid=1, comm="python3", args=f"/usr/bin/python3 -m {PROGRAM}")
    (loop,) = host.process.filter(ppid=process.pid)
    assert "--loop-ms=1000" in loop.args


def test_a_model_on_a_slice_takes_its_part_of_the_power(host: Host, counted: list[Row]) -> None:
    sliced, whole = gpus(host)
    energy = [row for row in counted if row.kind == ENERGY and row.wh > 0]
    assert {row.model for row in energy if row.gpu == sliced} == set(SLICES)
    for row in energy:
        part = SLICES[row.model] / (2 if row.model == "small" else 1) / 7 if row.gpu == sliced else 1
        watts = WATTS["0" if row.gpu == sliced else "1"]
        assert row.wh == pytest.approx(watts * part * row.seconds / 3600, rel=0.01), row
    assert {(row.model, row.device) for row in energy if row.gpu == whole} == {("whole", "")}
    assert {row.device for row in energy if row.model == "half"} == {"3g.20gb"}


def test_a_session_is_the_container_since_its_start(host: Host, counted: list[Row]) -> None:
    (half,) = inspect(host, "vllm-half-1").values()
    started = half["State"]["StartedAt"].partition(".")[0]
    assert {row.session for row in counted if row.model == "half"} == {f"{started}Z {half['Id'][:12]}"}


def test_a_restart_of_the_service_counts_nothing_twice_and_is_a_gap(host: Host, counted: list[Row]) -> None:
    for gpu in gpus(host):
        spans = sorted({(row.start, row.end, row.kind) for row in counted if row.gpu == gpu})
        assert [kind for _start, _end, kind in spans].count(GAP) >= 1
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans)), spans


def test_a_container_that_starts_again_is_a_session_of_its_own(host: Host) -> None:
    host.check_output("docker restart vllm-half-1")
    (half,) = inspect(host, "vllm-half-1").values()
    started = half["State"]["StartedAt"].partition(".")[0]
    host.check_output(f"sleep 3; systemctl restart {UNIT}")
    assert f"{started}Z {half['Id'][:12]}" in {row.session for row in rows(host)}


def test_an_nvidia_smi_that_dies_is_started_again_and_said(host: Host) -> None:
    since = host.check_output("date '+%F %T'")
    host.check_output('echo \'{"driver": "not loaded"}\' > /run/simulated-nvidia/faults.json')
    said = f"journalctl --unit {UNIT} --since '{since}' --output cat"
    wait_until(lambda: "nvidia-smi ended with 9: NVIDIA-SMI has failed" in host.check_output(said), "it is said")
    host.check_output("sleep 4; rm /run/simulated-nvidia/faults.json")
    wait_until(lambda: "nvidia-smi reports the power again" in host.check_output(said), "it is well again")
    assert any("ended with 9" in row.note for row in rows(host) if row.kind == GAP)


def test_the_report_has_tables_and_a_chart_of_all_hosts(admin: Admin, counted: list[Row], tmp_path: Path) -> None:
    words = ("-e", f"dest={tmp_path}", "-e", "price=0.31", "-e", "currency=EUR")
    run = admin.play("energy_report", *words)
    assert run.status == 0, run.output
    chart, sessions, table = sorted(tmp_path.iterdir(), key=lambda path: (path.suffix == ".csv", -len(path.name)))
    assert chart.suffix == ".svg"
    assert "Energy of the GPUs" in chart.read_text()
    found = list(csv.DictReader(table.open()))
    assert {"half", "small", "whole", "(unassigned)", "(not measured)"} <= {one["model"] for one in found}
    half = sum(float(one["kwh"]) for one in found if (one["host"], one["model"]) == ("ampere", "half"))
    assert half * 1000 >= sum(row.wh for row in counted if row.model == "half") * 0.999
    assert {one["host"] for one in csv.DictReader(sessions.open())} >= {"ampere"}
    again = admin.play("energy_report", *words, "--check")
    assert again.status == 0, again.output


def test_switching_it_off_keeps_what_was_counted(admin: Admin, host: Host) -> None:
    before = host.check_output(f"cat {FOLDER}/energy-*.csv")
    run = admin.play("install", "--limit", "ampere", variables={"fleet_energy": False})
    assert run.status == 0, run.output
    assert not host.service(UNIT).is_running
    assert not host.file(f"/etc/systemd/system/{UNIT}.service").exists
    assert host.check_output(f"cat {FOLDER}/energy-*.csv").startswith(before)
    run = admin.play("install", "--limit", "ampere")
    assert run.status == 0, run.output
    assert host.service(UNIT).is_running

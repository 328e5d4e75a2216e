"""Hosts with GPUs: what each model runs on, and what is left alone while slices are cut anew."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import pytest
from lab.fixtures import Admin, Door, identities, inspect
from testinfra.host import Host

testinfra_hosts = ["ansible://ampere"]

RESTORE_UNIT = "/etc/systemd/system/inference-fleet-restore.service"
HALF = {"name": "half", "type": "chat", "source": "example/half", "devices": {"mig": "3g.20gb"}}
SMALL = {"name": "small", "type": "chat", "source": "example/small", "devices": {"mig": "1g.5gb"}, "replicas": 2}
WHOLE = {"name": "whole", "type": "chat", "source": "example/whole", "devices": {"gpus": 1}}


def slices(host: Host) -> dict[str, str]:
    """UUID -> name of every MIG device, by nvidia-smi's own word."""
    lines = (line.split() for line in host.check_output("nvidia-smi -L").splitlines())
    return {words[5].rstrip(")"): words[1] for words in lines if words[0] == "MIG"}


def placements(host: Host, gpu: int = 0) -> list[str]:
    """`3g.20gb 4:4` of every GPU instance."""
    table = host.run(f"nvidia-smi mig -i {gpu} -lgi").stdout
    rows = [line.split() for line in table.splitlines() if " MIG " in line]
    return sorted(f"{row[3]} {row[6]}" for row in rows)


def held(host: Host, container: str) -> list[str]:
    (request,) = inspect(host, container)[container]["HostConfig"]["DeviceRequests"]
    return list(request["DeviceIDs"])


def converge(admin: Admin, *arguments: str, **variables: Any) -> None:
    run = admin.play("install", "--limit", "ampere", *arguments, variables=variables)
    assert run.status == 0, run.output


def test_the_gpus_are_partitioned_as_the_inventory_says(host: Host) -> None:
    assert sorted(slices(host).values()) == ["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"]
    modes = host.check_output("nvidia-smi --query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader")
    assert modes.splitlines() == ["Enabled, Enabled", "Disabled, Disabled"]


def test_every_model_has_a_device_of_its_own_by_uuid(host: Host) -> None:
    names = slices(host)
    given = {name: held(host, f"vllm-{name}") for name in ("half-1", "small-1", "small-2", "whole-1")}
    assert [names[uuid] for uuid in given["half-1"]] == ["3g.20gb"]
    assert [names[uuid] for uuid in (*given["small-1"], *given["small-2"])] == ["1g.5gb", "1g.5gb"]
    assert given["whole-1"] == [host.check_output("nvidia-smi --query-gpu=uuid --format=csv,noheader -i 1")]
    assert len({uuid for uuids in given.values() for uuid in uuids}) == 4


def test_the_engine_inside_sees_its_device(host: Host) -> None:
    (uuid,) = held(host, "vllm-half-1")
    pid = inspect(host, "vllm-half-1")["vllm-half-1"]["State"]["Pid"]
    assert f"NVIDIA_VISIBLE_DEVICES={uuid}" in host.check_output(f"tr '\\0' ' ' < /proc/{pid}/environ").split()


def test_a_model_on_a_slice_answers_at_the_front_door(door: Door) -> None:
    answer = door.chat("half")
    assert answer.status_code == 200, answer.text


def test_the_host_refuses_a_device_that_is_not_there(host: Host) -> None:
    """Or the tests of devices would show nothing."""
    gone = "MIG-00000000-0000-0000-0000-000000000000"
    image = inspect(host, "vllm-half-1")["vllm-half-1"]["Config"]["Image"]
    run = host.run(f"docker run --rm --gpus '\"device={gone}\"' {image} true")
    assert run.rc != 0
    assert "unknown device" in run.stderr


def test_check_mode_on_a_converged_host_reports_no_change(admin: Admin) -> None:
    run = admin.play("install", "--check", "--diff")
    assert run.status == 0, run.output
    assert run.changed() == {"ampere": 0, "hopper": 0}


def test_preflight_finds_nothing_to_do_and_changes_nothing(admin: Admin, host: Host) -> None:
    before = identities(host)
    run = admin.play("preflight")
    assert run.status == 0, run.output
    assert run.changed() == {"ampere": 0, "hopper": 0}
    assert "partitioned as fleet_mig asks for" in run.messages
    assert "fault" not in run.messages.lower()
    assert identities(host) == before


def test_a_layout_that_would_take_a_running_models_slice_is_refused_untouched(admin: Admin, host: Host) -> None:
    before, instances = identities(host), placements(host)
    run = admin.play("install", "--limit", "ampere", variables={"fleet_mig": {0: ["7g.40gb"], 1: "off"}})
    assert run.status != 0
    assert "in the way and in use" in run.messages
    for name in ("vllm-half-1", "vllm-small-1", "vllm-small-2"):
        assert f"container {name}" in run.messages
    assert (identities(host), placements(host)) == (before, instances)


def test_a_full_host_is_refused_with_a_table_of_who_has_what(admin: Admin, host: Host) -> None:
    before = identities(host)
    more = [HALF, SMALL, WHOLE, {**WHOLE, "name": "another"}]
    run = admin.play("install", "--limit", "ampere", variables={"fleet_models": more})
    assert run.status != 0
    assert "vllm-another-1 asks for 1 GPU; free: 0 of 2, partitioned by MIG: 1" in run.messages
    table = run.messages[run.messages.index("Who has what:") :]
    assert "GPU 1 (NVIDIA A100-SXM4-40GB)       vllm-whole-1" in table
    assert "    3g.20gb at 4                      vllm-half-1" in table
    assert "    2g.10gb at 0                      free" in table
    assert identities(host) == before


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"fleet_mig": {0: ["3g.40gb"], 1: "off"}}, '"3g.40gb" is not a profile of this GPU; it has 1g.5gb, '),
        ({"fleet_mig": {0: ["3g.20gb"] * 3}}, "asks for 9 compute slices; the GPU has 7"),
        (
            {"fleet_mig": {7: "off"}},
            "fleet_mig.7: no such GPU on this host; it has GPU 0 (NVIDIA A100-SXM4-40GB), GPU 1",
        ),
    ],
)
def test_a_layout_that_cannot_be_is_refused_with_why(
    admin: Admin, host: Host, variables: Mapping[str, Any], told: str
) -> None:
    instances = placements(host)
    run = admin.play("install", "--limit", "ampere", variables=variables)
    assert run.status != 0
    assert told in run.messages
    assert placements(host) == instances


# From here on each test begins with the layout and the models that the one before it left.


def test_a_layout_changes_while_models_run_on_the_rest_of_the_gpu(admin: Admin, host: Host) -> None:
    before, instances = identities(host), placements(host)
    layout = {"fleet_mig": {0: ["3g.20gb", "1g.5gb", "1g.5gb", "1g.10gb"], 1: "off"}}
    promised = admin.play("install", "--limit", "ampere", "--check", "--diff", variables=layout)
    assert placements(host) == instances
    run = admin.play("install", "--limit", "ampere", "--diff", variables=layout)
    assert run.status == 0, run.output
    told = ["GPU 0: destroy 2g.10gb at 0", "GPU 0: create 1g.10gb at 0"]
    assert actions(run.output) == actions(promised.output) == told
    kept = [one for one in instances if not one.startswith("2g")]
    assert placements(host) == sorted(["1g.10gb 0:2", *kept])
    assert identities(host) == before


def actions(output: str) -> list[str]:
    """What mig_partition told."""
    told, _end = json.JSONDecoder().raw_decode(output, output.index("{"))
    results = [task["hosts"]["ampere"] for play in told["plays"] for task in play["tasks"] if "ampere" in task["hosts"]]
    return [action for one in results if "devices" in one for action in one["actions"]]


def test_a_model_that_asks_for_another_slice_moves_and_the_others_stay(admin: Admin, host: Host) -> None:
    before = identities(host)
    smaller = {**HALF, "devices": {"mig": "1g.10gb"}}
    layout = {0: ["1g.10gb", "1g.5gb", "1g.5gb"], 1: "off"}
    converge(admin, fleet_mig=layout, fleet_models=[smaller, SMALL, WHOLE])
    after = identities(host)
    assert [slices(host)[uuid] for uuid in held(host, "vllm-half-1")] == ["1g.10gb"]
    assert {name for name in before if before[name] != after[name]} == {"vllm-half-1"}


def test_with_force_running_models_are_moved_to_other_slices(admin: Admin, host: Host) -> None:
    before = identities(host)
    layout = {
        "fleet_mig": {0: ["4g.20gb", "1g.5gb", "1g.5gb"], 1: "off"},
        "fleet_models": [{**HALF, "devices": {"mig": "4g.20gb"}}, SMALL, WHOLE],
    }
    refused = admin.play("install", "--limit", "ampere", variables=layout)
    assert "(container vllm-small-1)" in refused.messages
    assert "force (-e mig_force=true) stops and starts models itself" in refused.messages
    assert identities(host) == before
    converge(admin, "-e", "mig_force=true", **layout)
    assert [one.split()[0] for one in placements(host)] == ["1g.5gb", "1g.5gb", "4g.20gb"]
    assert {name for name, one in identities(host).items() if one != before[name]} == {
        "vllm-half-1",
        "vllm-small-1",
        "vllm-small-2",
    }


def test_models_that_are_stopped_give_their_slices_up(admin: Admin, host: Host) -> None:
    resting = [{**one, "state": "stopped"} for one in (HALF, SMALL)]
    converge(admin, fleet_mig={0: ["7g.40gb"], 1: "off"}, fleet_models=[*resting, WHOLE])
    assert placements(host) == ["7g.40gb 0:8"]
    assert inspect(host, "vllm-half-1")["vllm-half-1"]["State"]["Status"] == "created"


def test_off_gives_the_whole_gpu_back(admin: Admin, host: Host) -> None:
    """On an A100 by a reset, for which NVIDIA's persistence daemon steps aside."""
    assert host.service("nvidia-persistenced").is_running
    whole = {**WHOLE, "replicas": 2}
    converge(admin, fleet_mig={"all": "off"}, fleet_models=[whole])
    assert slices(host) == {}
    assert len({held(host, "vllm-whole-1")[0], held(host, "vllm-whole-2")[0]}) == 2
    assert host.service("nvidia-persistenced").is_running


def test_slices_lost_in_a_reboot_are_made_again(admin: Admin, host: Host) -> None:
    """By `install`: the unit that makes them at boot is set aside."""
    converge(admin, "-e", "mig_force=true")
    instances = placements(host)
    host.check_output(f"mv {RESTORE_UNIT} /root")
    reboot("ampere")
    assert placements(host) == []
    converge(admin)
    assert host.file(RESTORE_UNIT).exists
    assert placements(host) == instances
    assert [slices(host)[uuid] for uuid in held(host, "vllm-half-1")] == ["3g.20gb"]


def reboot(host: str) -> None:
    name = f"inference-fleet-lab-{host}"
    subprocess.run(["docker", "restart", name], check=True, capture_output=True)
    deadline = time.monotonic() + 90
    while subprocess.run(["docker", "exec", name, "docker", "version"], capture_output=True).returncode:
        assert time.monotonic() < deadline, f"{host} has not come back"
        time.sleep(0.5)

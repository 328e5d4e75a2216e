"""A host whose layout is worked out from what its models ask for."""

from __future__ import annotations

from typing import Any

from lab.fixtures import Admin, Door, identities, inspect
from testinfra.host import Host

testinfra_hosts = ["ansible://hopper"]
WAITING = {"name": "waiting", "type": "chat", "source": "example/waiting", "devices": {"mig": "1g.20gb"}}
NEW = {"name": "new", "type": "chat", "source": "example/new", "devices": {"mig": "1g.10gb"}}


def devices(host: Host, container: str) -> list[str]:
    """As nvidia-smi names them: `3g.40gb`, or `GPU 2` for a whole one."""
    names = {}
    for words in map(str.split, host.check_output("nvidia-smi -L").splitlines()):
        names[words[-1].rstrip(")")] = words[1] if words[0] == "MIG" else f"GPU {words[1].rstrip(':')}"
    (request,) = inspect(host, container)[container]["HostConfig"]["DeviceRequests"]
    return [names[uuid] for uuid in request["DeviceIDs"]]


def test_the_models_share_what_the_pinned_and_the_linked_leave(host: Host) -> None:
    assert devices(host, "vllm-single-1") == ["GPU 1"]
    assert devices(host, "vllm-pair-1") == ["GPU 2", "GPU 3"]
    assert devices(host, "vllm-slice-1") == ["3g.40gb"]
    assert devices(host, "vllm-parts-1") == devices(host, "vllm-parts-2") == ["1c.2g.20gb"]


def test_a_model_on_two_gpus_runs_tensor_parallel(host: Host) -> None:
    command = inspect(host, "vllm-pair-1")["vllm-pair-1"]["Config"]["Cmd"]
    assert command[command.index("--tensor-parallel-size") + 1] == "2"


def test_the_toolkit_came_from_the_sites_own_repository(host: Host) -> None:
    assert host.package("nvidia-container-toolkit").is_installed
    assert "nvidia" in host.check_output("docker info --format '{{json .Runtimes}}'")
    assert host.file("/etc/udev/rules.d/72-inference-fleet-nvidia.rules").contains("create-dev-char-symlinks")
    assert host.service("nvidia-persistenced").is_running
    assert host.service("nvidia-persistenced").is_enabled


def test_add_model_cuts_a_slice_online_and_remove_model_leaves_the_others(admin: Admin, host: Host, door: Door) -> None:
    before = identities(host)
    more: dict[str, Any] = {"fleet_models": [*door.models, NEW]}
    run = admin.play("add_model", "--limit", "hopper", "-e", "model=new", variables=more)
    assert run.status == 0, run.output
    assert devices(host, "vllm-new-1") == ["1g.10gb"]
    models = [name for name in before if name.startswith("vllm-")]
    assert {name: identities(host)[name] for name in models} == {name: before[name] for name in models}
    assert door.chat("new").status_code == 200
    # Another model of the inventory, which nobody has installed yet, is no concern of this run.
    more["fleet_models"].append(WAITING)
    run = admin.play("remove_model", "--limit", "hopper", "-e", "model=new", variables=more)
    assert run.status == 0, run.output
    assert {name: identities(host)[name] for name in models} == {name: before[name] for name in models}


def test_an_install_later_takes_the_slice_away_that_nobody_uses(admin: Admin, host: Host) -> None:
    run = admin.play("install", "--limit", "hopper")
    assert run.status == 0, run.output
    assert "1g.10gb" not in host.check_output("nvidia-smi -L")

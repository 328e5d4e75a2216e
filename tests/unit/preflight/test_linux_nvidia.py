"""Observing what a Linux host has for GPUs in containers, with a test folder for the host's files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import Observation
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux_nvidia
from ansible_collections.inference.fleet.plugins.module_utils.preflight.cuda import inspected_images
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import Nvidia, nvidia_checks
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.gpu.machines import Machine, smi_of
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

HOOK = linux_nvidia.HOOK
OBSERVE = linux_nvidia.NvidiaSmi.observe  # which the fixture replaces
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'
UBUNTUS_UNIT = (
    "[Service]\nType=forking\n"
    "ExecStart=/usr/bin/nvidia-persistenced --user nvidia-persistenced --no-persistence-mode --verbose\n"
)
STRICT = "[Scope]\nDevicePolicy=strict\nDeviceAllow=\nDeviceAllow=/dev/char/1:3 rwm\nDeviceAllow=char-* m\n"
OURS = {"managed-by": "inference.fleet"}


class Host:
    """Files of a host under a folder, programs on its PATH, and what nvidia-smi and Docker say; nothing at first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs: dict[str, str] = {}
        self.smi: Observation | FleetError = Observation((), "no nvidia-smi on this host")
        self.inspected: dict[str, Any] = {}

    def file(self, path: str, text: str = "") -> Path:
        where = self.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        return where

    def program(self, name: str) -> Path:
        path = self.file(f"usr/bin/{name}")
        self.programs[name] = str(path)
        return path

    def observe_smi(self) -> Observation:
        if isinstance(self.smi, FleetError):
            raise self.smi
        return self.smi

    def observe(self, *containers: dict[str, Any], **docker: Any) -> Nvidia:
        return linux_nvidia.observe_nvidia({"CgroupDriver": "systemd", **docker}, containers)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    fake = Host(tmp_path)
    monkeypatch.setattr(linux_nvidia, "ROOT", tmp_path)
    monkeypatch.setattr(linux_nvidia.shutil, "which", fake.programs.get)
    monkeypatch.setattr(linux_nvidia.NvidiaSmi, "observe", fake.observe_smi)
    monkeypatch.setattr(linux_nvidia, "ask", lambda path: fake.inspected.get(path))
    return fake


def container(name: str, state: str = "running", labels: dict[str, str] | None = None) -> dict[str, Any]:
    """As Docker lists it."""
    return {"Id": f"id-of-{name}", "Names": [f"/{name}"], "State": state, "Labels": labels}


def test_a_bare_host_has_nothing(host: Host) -> None:
    assert host.observe() == Nvidia(
        smi=False,
        trouble="no nvidia-smi on this host",
        toolkit=False,
        source=False,
        taken_up=False,
        configured=False,
        rule=False,
        unit=False,
    )


def test_nvidia_smis_faults_are_reported_in_its_words(host: Host) -> None:
    host.program("nvidia-smi")
    host.smi = FleetError("nvidia-smi -q -x: ended with 18; reboot the host")
    found = host.observe()
    assert (found.smi, found.gpus, found.trouble) == (True, (), "nvidia-smi -q -x: ended with 18; reboot the host")


def test_nvidia_smis_warnings_are_kept(host: Host) -> None:
    host.smi = Observation((), warnings=("WARNING: infoROM is corrupted at gpu 0000:3B:00.0",))
    assert host.observe().warnings == ("WARNING: infoROM is corrupted at gpu 0000:3B:00.0",)


# The driver and the images


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (me@)  \n", "580.159.04"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC 2024\n", "550.90.07"),
        ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  580.65  Release Build\n", "580.65"),
        ("", None),
    ],
)
def test_the_loaded_driver_is_what_the_kernel_says(host: Host, text: str, version: str | None) -> None:
    host.file("proc/driver/nvidia/version", text)
    assert host.observe().loaded == version


@pytest.mark.parametrize("folder", ["usr/lib/x86_64-linux-gnu", "usr/lib64"])
def test_the_installed_library_is_found_behind_its_links(host: Host, folder: str) -> None:
    host.file(f"{folder}/nvidia/current/libnvidia-ml.so.580.95.05")
    (host.root / folder / "libnvidia-ml.so.1").symlink_to("nvidia/current/libnvidia-ml.so.580.95.05")
    assert host.observe().library == "580.95.05"


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ('[ "$*" = "-F version nvidia" ] && echo 580.95.05', "580.95.05"),
        ("echo 'modinfo: ERROR: Module nvidia not found.' >&2; exit 1", None),
    ],
)
def test_the_installed_kernel_module_is_what_modinfo_says(host: Host, script: str, version: str | None) -> None:
    program = host.program("modinfo")
    assert host.observe().module is None  # a program that cannot be run
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert host.observe().module == version


def test_the_environments_of_images_on_the_host_are_read(host: Host) -> None:
    host.inspected["/images/vllm/vllm-openai:v1/json"] = {"Config": {"Env": ["CUDA_VERSION=13.0.2", "A=b=c", "EMPTY="]}}
    host.inspected["/images/corp/engine:1/json"] = {"Config": {}}
    names = ["vllm/vllm-openai:v1", "corp/engine:1", "not/pulled:1"]
    found = linux_nvidia.observe_nvidia({"CgroupDriver": "systemd"}, [], names)
    assert found.images == {
        "vllm/vllm-openai:v1": {"CUDA_VERSION": "13.0.2", "A": "b=c", "EMPTY": ""},
        "corp/engine:1": {},
    }
    assert linux_nvidia.observe_nvidia({}, [], names).images == {}


def test_a_machine_with_all_of_these_troubles_is_reported_line_by_line(host: Host, tmp_path: Path) -> None:
    """From what nvidia-smi and Docker print to what preflight prints."""
    (tmp_path / "machine").mkdir()
    machine = Machine(
        tmp_path / "machine",
        driver="570.133.20",
        gpus=[{"kind": "H100-SXM5-80GB", "fabric": ["In Progress", "N/A"]}, "H100-SXM5-80GB"],
    )
    machine.fault(inforom=["0000:07:00.0"])
    host.program("nvidia-smi")
    host.smi = OBSERVE(smi_of(machine))
    host.file(
        "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Release Build\n"
    )
    host.file("usr/lib64/libnvidia-ml.so.580.95.05")
    (host.root / "usr/lib64/libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.580.95.05")
    host.inspected["/images/vllm/vllm-openai:v0.31.0/json"] = {"Config": {"Env": ["CUDA_VERSION=13.0.2"]}}
    asked = fleet(entry(devices={"gpus": 2}), images={"vllm": "vllm/vllm-openai:v0.31.0"})
    found = linux_nvidia.observe_nvidia({"CgroupDriver": "systemd"}, [], inspected_images(asked))
    lines = [(one.name, one.state) for one in nvidia_checks(asked, found)][:6]
    assert lines == [
        ("driver", "warn"),
        ("nvidia-smi", "warn"),
        ("driver", "ok"),
        ("fleet_images.vllm", "fault"),
        ("fabric", "fault"),
        ("peer-to-peer", "ok"),
    ]


# The toolkit and Docker


def test_docker_gives_gpus_if_the_hook_was_there_when_it_started(host: Host) -> None:
    hook = host.program(HOOK)
    pid_file = host.file("var/run/docker.pid", "812")
    for started, taken_up in ((60, True), (-60, False)):
        when = hook.stat().st_ctime + started
        os.utime(pid_file, (when, when))
        assert (host.observe().toolkit, host.observe().taken_up) == (True, taken_up)


def test_without_a_pid_file_a_hook_that_is_there_counts(host: Host) -> None:
    host.program(HOOK)
    assert host.observe().taken_up


def test_the_runtime_is_known_by_what_docker_says(host: Host) -> None:
    assert host.observe(Runtimes={"runc": {}, "nvidia": {"path": "nvidia-container-runtime"}}).configured
    assert not host.observe(Runtimes={"runc": {}}).configured


@pytest.mark.parametrize(
    ("folder", "text", "configured"),
    [
        ("var/run/cdi/nvidia.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n", True),
        ("etc/cdi/nvidia.json", '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu"}', True),
        ("etc/cdi/other.yaml", "kind: vendor.com/net\n", False),
        ("srv/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n", False),
    ],
)
def test_cdi_takes_a_specification_where_docker_looks(host: Host, folder: str, text: str, configured: bool) -> None:
    host.file(folder, text)
    assert host.observe(CDISpecDirs=["/etc/cdi", "/var/run/cdi"]).configured is configured
    assert not host.observe(CDISpecDirs=None).configured


@pytest.mark.parametrize(
    ("version", "hook", "enough"), [("29.2.0", True, True), ("28.5.1", True, False), ("29.2.0", False, False)]
)
def test_dockers_from_29_2_on_give_gpus_by_cdi_alone(host: Host, version: str, hook: bool, enough: bool) -> None:
    host.file("etc/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n")
    if hook:
        host.program(linux_nvidia.CDI_HOOK)
    found = host.observe(CDISpecDirs=["/etc/cdi"], ServerVersion=version)
    assert (found.toolkit, found.taken_up, found.configured) == (enough, enough, True)


def test_a_restart_of_docker_may_stop_services_of_the_fleet_and_nothing_else(host: Host) -> None:
    found = host.observe(
        container("web"),
        container("stopped", state="exited"),
        container("caddy", labels={**OURS, "service": "caddy"}),
        container("vllm-a-1", labels={**OURS, "model-name": "a"}),
    )
    assert found.busy == ("vllm-a-1", "web")


@pytest.mark.parametrize("name", ["nvidia-container-toolkit.list", "nvidia-container-toolkit.sources"])
def test_a_package_source_that_somebody_named_to_apt_is_found(host: Host, name: str) -> None:
    host.file("etc/apt/sources.list.d/debian.sources", "URIs: http://deb.debian.org/debian\n")
    assert not host.observe().source
    host.file(f"etc/apt/sources.list.d/{name}", "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)\n")
    assert host.observe().source


# Containers and reloads of systemd


def with_gpu(host: Host, name: str, scope: str, dropin: str = "") -> dict[str, Any]:
    host.file(f"run/systemd/transient/docker-id-of-{name}.scope", scope)
    if dropin:
        host.file(f"run/systemd/transient/docker-id-of-{name}.scope.d/50-DeviceAllow.conf", dropin)
    host.inspected[f"/containers/id-of-{name}/json"] = {
        "Id": f"id-of-{name}",
        "Name": f"/{name}",
        "Config": {"Image": "vllm:1", "Env": []},
        "State": {"Running": True},
        "HostConfig": {"DeviceRequests": [{"DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}]},
    }
    return container(name)


def test_a_container_whose_gpu_systemd_does_not_know_would_lose_it(host: Host) -> None:
    one = with_gpu(host, "vllm-a-1", STRICT)
    assert host.observe(one).exposed == ("vllm-a-1",)
    assert host.observe(one, CgroupDriver="cgroupfs").exposed == ()
    assert host.observe({**one, "State": "exited"}).exposed == ()


@pytest.mark.parametrize("allowed", ["DeviceAllow=/dev/char/195:255 rwm\n", "DeviceAllow=/dev/nvidia0 rwm\n"])
def test_a_container_whose_gpu_systemd_knows_keeps_it(host: Host, allowed: str) -> None:
    assert host.observe(with_gpu(host, "a", STRICT + allowed)).exposed == ()
    assert host.observe(with_gpu(host, "b", "[Scope]\nDevicePolicy=strict\n", f"[Scope]\n{allowed}")).exposed == ()


def test_containers_without_a_gpu_and_privileged_ones_have_none_to_lose(host: Host) -> None:
    plain = with_gpu(host, "web", STRICT)
    host.inspected["/containers/id-of-web/json"]["HostConfig"] = {}
    assert host.observe(plain, with_gpu(host, "all", "[Scope]\nDevicePolicy=auto\n"), container("old")).exposed == ()


def test_finds_the_device_nodes_that_dev_char_has_no_link_to(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"nvidia0": (195, 0), "nvidiactl": (195, 255), "nvidia-caps/nvidia-cap1": (237, 1)}
    for node in (*numbers, "nvidia-caps/readme", "sda"):
        host.file(f"dev/{node}")
    (host.root / "dev/char").mkdir()
    (host.root / "dev/char/195:255").symlink_to("../nvidiactl")
    real = Path.stat

    def stat(path: Path, **options: Any) -> Any:
        """Device nodes cannot be made without being allowed to."""
        node = numbers.get(str(path.relative_to(host.root / "dev"))) if path.is_relative_to(host.root / "dev") else None
        return SimpleNamespace(st_mode=0o020666, st_rdev=os.makedev(*node)) if node else real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert [Path(node).name for node in host.observe().unlinked] == ["nvidia0", "nvidia-cap1"]


@pytest.mark.parametrize("folder", ["etc/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"])
def test_knows_a_udev_rule_that_makes_the_links_whoever_wrote_it(host: Host, folder: str) -> None:
    host.file(f"{folder}/60-other.rules", 'KERNEL=="sda"\n')
    assert not host.observe().rule
    host.file(f"{folder}/71-nvidia.rules", 'ACTION=="add", RUN+="nvidia-ctk system create-dev-char-symlinks"\n')
    assert host.observe().rule


# The persistence daemon


def test_a_unit_that_starts_the_daemon_with_persistence_mode_off_is_found_out(host: Host) -> None:
    host.file("lib/systemd/system/nvidia-persistenced.service", UBUNTUS_UNIT)
    found = host.observe()
    assert found.unit
    assert found.unit_command == "/usr/bin/nvidia-persistenced --user nvidia-persistenced --verbose"
    host.file(
        "etc/systemd/system/nvidia-persistenced.service.d/inference-fleet.conf",
        f"[Service]\nExecStart=\nExecStart={found.unit_command}\n",
    )
    assert host.observe().unit_command == ""


def test_a_unit_that_starts_it_with_persistence_mode_on_is_left_alone(host: Host) -> None:
    host.file(
        "usr/lib/systemd/system/nvidia-persistenced.service", "[Service]\nExecStart=/usr/bin/nvidia-persistenced\n"
    )
    assert (host.observe().unit, host.observe().unit_command) == (True, "")


@pytest.mark.parametrize(
    ("system", "library", "packaged"),
    [
        (DEBIAN, "libnvidia-cfg1:amd64.list", True),
        (DEBIAN, "other.list", False),
        ("ID=ubuntu\n", "libnvidia-cfg1-550:amd64.list", False),
    ],
)
def test_debian_has_the_daemon_beside_a_driver_from_its_packages(
    host: Host, system: str, library: str, packaged: bool
) -> None:
    host.file("etc/os-release", system)
    host.file(f"var/lib/dpkg/info/{library}")
    assert host.observe().packaged is packaged


def test_the_rule_that_the_role_brings_is_one_that_the_check_knows(host: Host) -> None:
    role = Path(__file__).parents[3] / "roles/fleet/files/72-inference-fleet-nvidia.rules"
    host.file("etc/udev/rules.d/72-inference-fleet-nvidia.rules", role.read_text())
    assert host.observe().rule

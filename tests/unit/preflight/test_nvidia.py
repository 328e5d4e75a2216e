"""Checks whether containers of a host can use its GPUs and keep access to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import Nvidia, nvidia_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.peers import Peers
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet


def gpu(name: str = "NVIDIA H100 80GB HBM3", architecture: str | None = "Hopper", **changes: Any) -> Gpu:
    settings = {"index": 0, "uuid": "GPU-0", "bus_id": "", "minor": 0, "memory": 81559, "driver": "550.90.07"}
    settings["cuda"] = "13.0"
    return Gpu(**{"persistence": True, **settings, **changes}, name=name, architecture=architecture)


GOOD = Nvidia(gpus=(gpu(),))


def reported(about: str, *entries: dict[str, Any], mig: Any = None, **changes: Any) -> list[str]:
    """The checks with this name, of a good host with these changes, each after its state."""
    asked = fleet(*(entries or (entry(),)), **({"mig": mig} if mig else {}))
    lines = nvidia_checks(asked, replace(GOOD, **changes))
    return [f"{line.state} {line}" for line in lines if line.name == about]


def test_a_good_host_has_a_line_for_each_thing_and_nothing_to_do() -> None:
    lines = list(nvidia_checks(fleet(entry()), GOOD))
    assert [(line.name, line.state, line.remedy) for line in lines] == [
        (name, "ok", "") for name in ("driver", "cuda", "persistence", "toolkit", "runtime", "reload")
    ]
    assert GOOD.to_do == []


# The driver


def test_gpus_are_asked_for_in_vain_where_no_driver_is() -> None:
    none = {"smi": False, "trouble": "no nvidia-smi on this host: the NVIDIA driver is not installed"}
    assert reported("fleet_models[0].devices", entry(name="big", devices={"gpus": 2}), **none) == [
        "fault fleet_models[0].devices: big asks for 2 gpu, and there is no nvidia-smi on this host; "
        "install the NVIDIA driver, or give {cpu: true}"
    ]
    assert reported("fleet_models[0].devices", entry(devices={"cpu": True}), **none) == []
    assert reported("fleet_models[0].devices", entry(devices={"gpus": 2}, state="absent"), **none) == []


def test_tells_the_driver_and_the_gpus_that_it_serves() -> None:
    gpus = (gpu(), gpu(index=1), gpu("NVIDIA L40S", "Ada Lovelace"))
    assert reported("driver", gpus=gpus) == ["ok driver: 550.90.07 for 2 x NVIDIA H100 80GB HBM3, 1 x NVIDIA L40S"]


def test_a_driver_too_old_for_hopper_is_reported_with_the_right_one() -> None:
    assert reported("driver", gpus=(gpu(driver="470.57.02"),)) == [
        "fault driver: 470.57.02 is too old for GPU 0 (NVIDIA H100 80GB HBM3), which needs 525.60.13 or later; "
        "update the driver and reboot"
    ]


@pytest.mark.parametrize(
    ("name", "architecture", "oldest", "too_old"),
    [
        ("NVIDIA A100-SXM4-40GB", "Ampere", "450.80.02", "450.51.05"),
        ("NVIDIA L40S", "Ada Lovelace", "520.61.05", "515.105.01"),
        ("NVIDIA H200", "Hopper", "525.60.13", "520.61.05"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "Blackwell", "570.26", "565.57.01"),
    ],
)
def test_an_architecture_has_a_first_driver(name: str, architecture: str, oldest: str, too_old: str) -> None:
    assert reported("driver", gpus=(gpu(name, architecture, driver=oldest),))[0].startswith("ok")
    assert f"needs {oldest} or later" in reported("driver", gpus=(gpu(name, architecture, driver=too_old),))[0]


@pytest.mark.parametrize(
    ("name", "architecture", "oldest", "too_old"),
    [
        ("A100-SXM4-40GB", None, "450.80.02", "450.51.06"),
        ("NVIDIA A30", "Ampere", "460.73.01", "450.80.02"),
        ("NVIDIA H100 PCIe", "Hopper", "525.85.12", "525.60.13"),
        ("NVIDIA H20", "Hopper", "535.161.07", "535.54.03"),
        ("NVIDIA H200", "Hopper", "550.90.07", "535.161.07"),
        ("NVIDIA B200", "Blackwell", "570.133.20", "570.124.06"),
        ("NVIDIA GB200", "Blackwell", "570.133.20", "570.124.06"),
        ("NVIDIA B300 SXM6 AC", "Blackwell", "580.82.07", "575.64"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "Blackwell", "575.51.03", "570.211.01"),
        ("NVIDIA RTX PRO 5000 Blackwell", "Blackwell", "575.57.08", "575.51.03"),
        ("NVIDIA RTX PRO 4500 Blackwell", "Blackwell", "575.64", "575.57.08"),
    ],
)
def test_mig_needs_the_first_driver_that_has_it_on_the_product(
    name: str, architecture: str | None, oldest: str, too_old: str
) -> None:
    for mig, devices in (("auto", {"gpus": 1}), (None, {"mig": "1g.10gb"})):
        of = {"mig": mig, "gpus": (gpu(name, architecture, driver=oldest),)}
        assert reported("driver", entry(devices=devices), **of)[0].startswith("ok")
        of["gpus"] = (gpu(name, architecture, driver=too_old),)
        assert f"needs {oldest} or later" in reported("driver", entry(devices=devices), **of)[0]


def test_a_driver_that_knows_a_gpu_that_is_in_no_table_will_do() -> None:
    assert reported("driver", gpus=(gpu("NVIDIA R100", "Rubin", driver="600.10"),))[0].startswith("ok")
    assert reported("driver", gpus=(gpu("Tesla T4", "Turing", driver="418.40.04"),))[0].startswith("ok")
    assert reported("driver", mig="auto", gpus=(gpu("NVIDIA R100", None, driver="400.10"),))[0].startswith("ok")


def test_a_library_of_another_version_than_the_loaded_driver_is_reported_in_nvidia_smis_words() -> None:
    trouble = (
        "nvidia-smi -q -x: ended with 18: Failed to initialize NVML: Driver/library version mismatch; "
        "the driver was updated while an older one is loaded: reboot the host"
    )
    assert reported("driver", gpus=(), trouble=trouble) == [f"fault driver: {trouble}"]


def test_the_loaded_and_the_installed_driver_are_named_where_they_differ() -> None:
    trouble = "nvidia-smi -q -x: ended with 18: Failed to initialize NVML: Driver/library version mismatch; reboot"
    assert reported(
        "driver", gpus=(), trouble=trouble, loaded="550.90.07", library="580.95.05", module="580.95.05"
    ) == [
        "fault driver: 550.90.07 is loaded, and 580.95.05 is installed: nvidia-smi -q -x: ended with 18: "
        "Failed to initialize NVML: Driver/library version mismatch; reboot the host"
    ]


@pytest.mark.parametrize(
    ("library", "module", "differs"),
    [("550.90.07", "580.95.05", True), ("550.90.07", "550.90.07", False), (None, None, False)],
)
def test_a_kernel_module_that_only_the_next_boot_loads_is_a_warning(
    library: str | None, module: str | None, differs: bool
) -> None:
    lines = reported("driver", loaded="550.90.07", library=library, module=module)
    assert lines[-1].startswith("ok driver: 550.90.07 for 1 x")
    found = "550.90.07 is loaded, and 580.95.05 is installed, which the next boot loads"
    assert lines[:-1] == [f"warn driver: {found}; reboot in a quiet hour"] * int(differs)
    assert reported("driver", loaded=None, library=library, module=module) == lines[-1:]


def test_a_warning_of_nvidia_smi_is_shown() -> None:
    corrupt = "WARNING: infoROM is corrupted at gpu 0000:3B:00.0"
    assert reported("nvidia-smi", warnings=(corrupt, "NVRM: something")) == [
        f"warn nvidia-smi: {corrupt}; the GPU computes, but may lose its record of memory errors: ask its vendor",
        "warn nvidia-smi: NVRM: something",
    ]


def test_the_driver_is_compared_with_the_images_and_the_gpus_with_each_other() -> None:
    (line,) = reported("fleet_images.vllm", gpus=(gpu(cuda="12.4"),))
    assert line.startswith("fault fleet_images.vllm: ")
    (line,) = reported("fabric", peers=Peers(nvswitch=True))
    assert line.startswith("fault fabric: ")


def test_a_driver_that_is_not_loaded_is_a_fault_with_where_to_look() -> None:
    trouble = "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    (line,) = reported("driver", gpus=(), trouble=trouble)
    assert line == f"fault driver: {trouble}; look at `dmesg | grep -i nvrm`; after a new kernel `dkms status`"
    assert reported("persistence", gpus=(), trouble=trouble) == []


def test_a_layout_without_a_driver_is_a_fault_of_the_layout() -> None:
    assert reported("fleet_mig", mig={0: "off"}, smi=False) == [
        "fault fleet_mig: GPUs are to be partitioned, and there is no nvidia-smi on this host; "
        "install the NVIDIA driver, or remove fleet_mig"
    ]


# The toolkit and Docker


def test_install_brings_a_toolkit_that_is_missing() -> None:
    (line,) = reported("toolkit", toolkit=False)
    assert line.startswith("install toolkit: the NVIDIA Container Toolkit is not installed")
    assert replace(GOOD, toolkit=False, source=False, taken_up=False, configured=False, rule=False).to_do == [
        "source",
        "toolkit",
        "links",
        "runtime",
    ]


@pytest.mark.parametrize("changes", [{"configured": False}, {"taken_up": False}])
def test_install_restarts_docker_where_nothing_runs_in_it(changes: dict[str, bool]) -> None:
    (line,) = reported("runtime", **changes)
    assert line.startswith("install runtime: ")
    assert replace(GOOD, **changes).to_do == ["runtime"]


def test_docker_is_not_restarted_under_containers_that_run() -> None:
    busy = ("gitlab", "vllm-a-1", "vllm-b-1", "vllm-b-2")
    assert reported("runtime", taken_up=False, configured=False, busy=busy) == [
        "fault runtime: Docker must be restarted before it gives GPUs to containers, "
        "and a restart of Docker would stop gitlab, vllm-a-1, vllm-b-1 and 1 more; "
        "in a quiet hour: `nvidia-ctk runtime configure --runtime=docker`, then `systemctl restart docker`"
    ]
    assert replace(GOOD, taken_up=False, configured=False, busy=busy).to_do == []


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("debian", "`apt-get install nvidia-container-toolkit`"),
        ("ubuntu", "`apt-get install nvidia-container-toolkit`"),
        ("rhel", "`dnf install nvidia-container-toolkit`"),
        ("rocky", "`dnf install nvidia-container-toolkit`"),
        ("arch", "install nvidia-container-toolkit"),
    ],
)
def test_the_commands_for_a_quiet_hour_begin_with_the_toolkit_where_that_is_missing_too(
    system: str, command: str
) -> None:
    found = replace(GOOD, toolkit=False, taken_up=False, configured=False, busy=("gitlab",))
    (line,) = [str(one) for one in nvidia_checks(fleet(entry()), found, system) if one.name == "runtime"]
    assert f"in a quiet hour: {command}, `nvidia-ctk runtime" in line


def test_a_docker_that_gives_gpus_already_is_no_fault_for_lack_of_a_runtime() -> None:
    (line,) = reported("runtime", configured=False, busy=("vllm-a-1",))
    assert line.startswith("warn runtime: Docker has neither the runtime nvidia nor CDI, and a restart")


# Persistence mode

OFF = (gpu(), gpu(index=1, persistence=False), gpu(index=2, persistence=False))


def test_install_starts_the_persistence_daemon() -> None:
    assert reported("persistence", gpus=OFF) == [
        "install persistence: persistence mode is off on GPU 1, 2, so every first client reloads the "
        "driver; install starts nvidia-persistenced, now and at every boot"
    ]
    assert replace(GOOD, gpus=OFF).to_do == ["persistence"]


def test_a_daemon_that_debian_has_for_its_driver_is_installed() -> None:
    assert reported("persistence", gpus=OFF, unit=False, packaged=True)[0].startswith("install ")
    assert replace(GOOD, gpus=OFF, unit=False, packaged=True).to_do == ["persistence_package", "persistence"]


def test_beside_a_driver_of_another_origin_no_package_is_installed() -> None:
    (line,) = reported("persistence", gpus=OFF, unit=False)
    assert line.startswith("warn ")
    assert "`nvidia-smi -pm 1` after every boot" in line
    assert replace(GOOD, gpus=OFF, unit=False).to_do == []


def test_the_daemon_is_not_enabled_while_that_would_take_gpus_away() -> None:
    """Enabling a unit makes systemd reload."""
    (line,) = reported("persistence", gpus=OFF, exposed=("vllm-a-1",))
    assert line.startswith("warn ")
    assert line.endswith("`systemctl enable --now nvidia-persistenced` when vllm-a-1 may lose the GPU")
    assert replace(GOOD, gpus=OFF, exposed=("vllm-a-1",), unit=False, packaged=True).to_do == []


def test_a_gpu_without_persistence_mode_is_no_reason_to_do_anything() -> None:
    assert replace(GOOD, gpus=(gpu(persistence=None),)).to_do == []
    assert reported("persistence", gpus=(gpu(persistence=None),)) == ["ok persistence: persistence mode is on"]


# Reloads of systemd


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"unlinked": ("/dev/nvidia0", "/dev/nvidiactl")}, "/dev/char has no link to /dev/nvidia0, /dev/nvidiactl"),
        ({"rule": False}, "no udev rule creates the links in /dev/char at boot"),
        (
            {"unlinked": ("/dev/nvidia0",), "rule": False},
            "/dev/char has no link to /dev/nvidia0 and no udev rule creates the links in /dev/char at boot",
        ),
    ],
)
def test_install_makes_the_links_now_and_at_every_boot(changes: dict[str, Any], found: str) -> None:
    assert reported("reload", **changes) == [
        f"install reload: {found}; install creates the links, now and at every boot"
    ]
    assert replace(GOOD, **changes).to_do == ["links"]


def test_containers_that_would_lose_their_gpu_are_named() -> None:
    assert reported("reload", exposed=("gitlab-runner", "vllm-a-1")) == [
        "warn reload: the next `systemctl daemon-reload` takes the GPU away from gitlab-runner, vllm-a-1; recreate "
        "them with CDI or with their device nodes (--device); package updates also reload systemd"
    ]

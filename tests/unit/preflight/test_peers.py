"""Whether the GPUs of a host can reach each other."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.preflight.peers import Peers, peer_checks
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

COMPLETED = ("Completed", "Success")
TWO = entry(devices={"gpus": 2})


def gpus(*fabric: tuple[str | None, str | None], mig: bool = False, linked: bool = False) -> list[Gpu]:
    """One GPU for each state and status."""
    return [
        Gpu(
            index=index,
            uuid=f"GPU-{index}",
            name="NVIDIA H100 80GB HBM3",
            bus_id="",
            minor=index,
            memory=81559,
            driver="580.159.04",
            fabric_state=state,
            fabric_status=status,
            mig=mig,
            links={other: 18 for other in range(len(fabric)) if other != index} if linked else {},
        )
        for index, (state, status) in enumerate(fabric)
    ]


def reported(found: Peers, some: list[Gpu], asked: dict[str, Any] | None = None) -> list[str]:
    return [f"{one.state} {one}" for one in peer_checks(fleet(asked or entry()), some, found)]


# NVSwitches


def test_a_host_without_nvswitches_has_no_fabric() -> None:
    assert reported(Peers(), gpus((None, None), (None, None))) == []


def test_gpus_that_are_registered_are_good() -> None:
    good = ["ok fabric: the GPUs are registered with the NVSwitches"]
    assert reported(Peers(nvswitch=True, fabric_manager=True), gpus(COMPLETED, COMPLETED)) == good
    assert reported(Peers(), gpus(COMPLETED)) == good  # the switches belong to another host
    assert reported(Peers(nvswitch=True, fabric_manager=True), gpus((None, None))) == good


@pytest.mark.parametrize("state", ["Not Started", "In Progress"])
def test_gpus_that_wait_for_the_fabric_manager_are_a_fault(state: str) -> None:
    waiting = gpus(COMPLETED, (state, None), (state, None))
    assert reported(Peers(nvswitch=True), waiting) == [
        f"fault fabric: GPU 1, 2 not registered with the NVSwitches ({state}): CUDA fails there with error 802; "
        "install nvidia-fabricmanager of version 580.159.04, then `systemctl enable --now nvidia-fabricmanager`"
    ]
    assert reported(Peers(nvswitch=True, fabric_manager=True), waiting)[0].endswith(
        "; look at `journalctl -u nvidia-fabricmanager`; its version must be the driver's, 580.159.04"
    )


def test_a_registration_that_failed_is_a_fault_with_its_status() -> None:
    (line,) = reported(Peers(fabric_manager=True), gpus(COMPLETED, ("Completed", "Insufficient Resources")))
    assert line.startswith("fault fabric: GPU 1 not registered with the NVSwitches (Completed, Insufficient Resources)")


def test_an_a100_that_reports_no_state_needs_the_fabric_manager_as_well() -> None:
    (line,) = reported(Peers(nvswitch=True), gpus((None, None), (None, None)))
    assert line.startswith(
        "fault fabric: the host has NVSwitches, and no fabric manager runs: CUDA fails with error 802"
    )


def test_a_fabric_manager_that_ended_after_the_registration_is_a_warning() -> None:
    (line,) = reported(Peers(nvswitch=True), gpus(COMPLETED))
    assert line.startswith("warn fabric: the host has NVSwitches, and no fabric manager runs; install")


def test_gpus_in_mig_mode_use_no_nvlink() -> None:
    assert reported(Peers(nvswitch=True), gpus(("In Progress", None), mig=True))[0].startswith("warn fabric: ")
    assert reported(Peers(nvswitch=True), gpus((None, None), mig=True))[0].startswith("warn fabric: ")


# Peer-to-peer over PCIe

PLAIN = gpus((None, None), (None, None))


def test_acs_and_the_iommu_are_warnings_with_what_to_do() -> None:
    found = Peers(redirecting=("0000:02:00.0", "0000:02:01.0"), translated=("0000:03:00.0",))
    (line,) = reported(found, PLAIN, TWO)
    assert line == (
        "warn peer-to-peer: traffic between GPUs may be slow or hang: "
        "ACS of the PCIe switch ports 0000:02:00.0, 0000:02:01.0 sends it to the CPU, "
        "and the IOMMU translates it for 0000:03:00.0; switch VT-d, AMD-Vi or ACS off in the firmware, "
        "or boot with iommu=pt and without ACS redirection (pci=disable_acs_redir=ADDRESS), "
        'or set NCCL_P2P_DISABLE: "1" in the model\'s env'
    )
    assert reported(Peers(), PLAIN, TWO) == ["ok peer-to-peer: no ACS or IOMMU redirects the traffic between GPUs"]


@pytest.mark.parametrize(
    ("some", "asked"),
    [
        (PLAIN, entry()),
        (PLAIN, entry(devices={"mig": "3g.40gb"})),
        (PLAIN, entry(devices={"gpus": [0, 1]}, env={"NCCL_P2P_DISABLE": "1"})),
        (PLAIN, entry(devices={"gpus": 2}, state="absent")),
        (gpus((None, None), (None, None), linked=True), TWO),
        (gpus((None, None)), TWO),
    ],
)
def test_who_does_not_need_it_is_not_warned(some: list[Gpu], asked: dict[str, Any]) -> None:
    assert reported(Peers(redirecting=("0000:02:00.0",), translated=("0000:03:00.0",)), some, asked) == []

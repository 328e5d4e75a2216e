"""Which model a GPU's energy is assigned to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy.holders import (
    UNASSIGNED,
    Holder,
    Share,
    Shares,
    parse_gpus,
    shares_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab" / "nvidia"))

from simulated_nvidia.machine import Machine  # found by the path above

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 3g.20gb     Device  0: (UUID: MIG-half)
  MIG 2g.10gb     Device  1: (UUID: MIG-two)
  MIG 1g.5gb      Device  2: (UUID: MIG-one)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b)
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-c)
  MIG 1c.2g.20gb  Device  0: (UUID: MIG-c0)
  MIG 1c.2g.20gb  Device  1: (UUID: MIG-c1)
  MIG 4g.40gb     Device  2: (UUID: MIG-c2)
"""
GPUS = parse_gpus(LISTING)
FREE = Share(1.0, note=UNASSIGNED)


def container(name: str, *devices: str, model: str = "chat", ours: bool = True, running: bool = True) -> HostContainer:
    labels = {"managed-by": "inference.fleet", "model-name": model} if ours else {}
    started = "2026-11-24T03:12:40.123456789Z"
    return HostContainer("0123456789abcdef", name, "vllm", running, labels, devices, started)


def parts(shares: Shares, gpu: str) -> dict[str, float]:
    """Container -> its part; under "" the part without a holder."""
    found: dict[str, float] = {}
    for share in shares[gpu]:
        name = share.holder.container if share.holder else ""
        found[name] = found.get(name, 0.0) + share.part
    return found


def test_a_whole_gpu_is_its_holders() -> None:
    shares = shares_of(GPUS, [container("c", "GPU-b")])
    holder = Holder("chat", "c", "2026-11-24T03:12:40Z 0123456789ab")
    assert shares["GPU-b"] == (Share(1.0, "", holder),)


def test_slices_share_by_their_compute_slices_and_the_rest_is_unassigned() -> None:
    shares = shares_of(GPUS, [container("h", "MIG-half"), container("o", "MIG-one")])
    assert parts(shares, "GPU-a") == pytest.approx({"h": 3 / 6, "o": 1 / 6, "": 2 / 6})
    assert [share.device for share in shares["GPU-a"]] == ["3g.20gb", "1g.5gb", ""]
    assert shares["GPU-b"] == (FREE,)


def test_parts_of_an_instance_count_by_their_own_slices() -> None:
    shares = shares_of(GPUS, [container("x", "MIG-c0"), container("y", "MIG-c2")])
    assert parts(shares, "GPU-c") == pytest.approx({"x": 1 / 6, "y": 4 / 6, "": 1 / 6})


def test_a_model_on_several_gpus_has_all_of_each() -> None:
    shares = shares_of(GPUS, [container("c", "0", "1")])
    assert parts(shares, "GPU-a") == pytest.approx({"c": 1.0})
    assert parts(shares, "GPU-b") == {"c": 1.0}


def test_what_two_hold_is_shared_equally() -> None:
    shares = shares_of(GPUS, [container("c", "GPU-b"), container("d", "all")])
    assert parts(shares, "GPU-b") == {"c": 0.5, "d": 0.5}


@pytest.mark.parametrize(
    "other", [container("c", "GPU-b", ours=False), container("c", "GPU-b", running=False), container("c", "GPU-gone")]
)
def test_others_and_what_does_not_run_hold_nothing(other: HostContainer) -> None:
    assert shares_of(GPUS, [other])["GPU-b"] == (FREE,)


devices = st.sampled_from(["0", "1", "all", "GPU-a", "GPU-b", "MIG-half", "MIG-one", "MIG-c0", "MIG-c2", "2:1", "gone"])


@given(st.lists(st.lists(devices, max_size=3), max_size=5))
def test_nothing_of_a_gpus_power_is_lost_or_counted_twice(held: list[list[str]]) -> None:
    shares = shares_of(GPUS, [container(f"c{number}", *asked) for number, asked in enumerate(held)])
    assert set(shares) == {"GPU-a", "GPU-b", "GPU-c"}
    for given_out in shares.values():
        assert sum(share.part for share in given_out) == pytest.approx(1)
        assert all(0 < share.part <= 1 + 1e-9 for share in given_out)


@pytest.mark.parametrize("driver", ["450.80.02", "550.90.07", "580.173.02"])
def test_reads_what_the_simulated_nvidia_smi_lists(tmp_path: Path, driver: str) -> None:
    kind = "A100-SXM4-40GB" if driver < "5" else "A100-PCIE-80GB"
    machine = Machine(tmp_path, driver=driver, gpus=[kind, kind]).mig()
    machine.ok("mig -i 0 -cgi 9,14 -C")
    first, second = parse_gpus(machine.ok("-L"))
    assert sorted(name.split(".")[0] for name in first.devices.values()) == ["2g", "3g"]
    assert not second.instances
    (uuid,) = [uuid for uuid, name in first.devices.items() if name.startswith("3g")]
    assert parts(shares_of([first, second], [container("c", uuid)]), first.uuid) == pytest.approx({"c": 0.6, "": 0.4})

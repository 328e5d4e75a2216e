"""Who tries to get out: what a process in a model container may do, as its root."""

from __future__ import annotations

import pytest
from testinfra.host import Host

CAPABILITIES = "0000000000000002"  # DAC_OVERRIDE alone, a bit mask of the kernel's include/uapi/linux/capability.h
# The stand-ins download at their start, so they may write the cache.
READERS = ["vllm-tiny-chat-1", "vllm-tiny-embedding-1"]
CACHE = "/var/cache/inference-fleet"
ATTACKS = (
    "mknod /tmp/zero c 1 5",
    "chown 1 /tmp",
    "chroot / true",
    "mount -t tmpfs none /mnt",
    # Raw packets are what ARP spoofing needs.
    "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
    "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'",
)


@pytest.fixture(scope="module")
def models(host: Host) -> list[str]:
    found = host.check_output("docker ps --filter label=model-name --format '{{.Names}}'").split()
    assert found
    return found


def test_a_model_has_one_capability_and_gains_no_other(models: list[str], host: Host) -> None:
    for name in models:
        lines = host.check_output(f"docker exec {name} cat /proc/self/status").splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert [status[key] for key in ("CapPrm", "CapEff", "CapBnd")] == [CAPABILITIES] * 3, name
        assert status["NoNewPrivs"] == "1", name


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_model_cannot(attack: str, models: list[str], host: Host) -> None:
    assert [name for name in models if host.run(f"docker exec {name} {attack}").succeeded] == []


@pytest.mark.parametrize(
    "attack", [f"touch {CACHE}/x", f"mkdir -p {CACHE}/hub/models--own--x", f"mount -o remount,rw {CACHE}"]
)
def test_a_model_cannot_write_the_cache(attack: str, host: Host) -> None:
    assert [name for name in READERS if host.run(f"docker exec {name} {attack}").succeeded] == []

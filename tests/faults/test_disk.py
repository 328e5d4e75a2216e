"""The disk is full when configuration is written: the previous files stay complete and in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import FOLDER, Promise
from lab.fixtures import Admin

FILLER = f"{FOLDER}/filler"
# A file system of its own for the configuration, in a file. A container has no nodes of loop devices.
SMALL_DISK = f"""
set -e
test -e /dev/loop-control || mknod /dev/loop-control c 10 237
truncate --size 1M /var/small.img
mkfs.ext4 -q -m 0 -b 1024 -N 256 -O ^has_journal /var/small.img
loop=$(losetup --find)
test -e $loop || mknod $loop b 7 ${{loop#/dev/loop}}
mount -o loop=$loop /var/small.img /mnt
rmdir /mnt/lost+found
cp --archive {FOLDER}/. /mnt
umount /mnt
mount -o nodelalloc,loop=$(losetup --find) /var/small.img {FOLDER}
docker restart caddy
"""
BACK = f"""
set -e
mkdir /var/kept
cp --archive {FOLDER}/. /var/kept
umount {FOLDER}
rm -rf {FOLDER}
mv /var/kept {FOLDER}
docker restart caddy
rm /var/small.img
"""


@pytest.fixture(scope="module")
def small_disk(promise: Promise, machine: Machine) -> Iterator[None]:
    machine.host.check_output(SMALL_DISK)
    promise.holds()
    yield
    machine.host.check_output(BACK)
    promise.settles()
    promise.holds()


@pytest.fixture(scope="module")
def larger(promise: Promise) -> Mapping[str, Any]:
    """An inventory that gives every file other content than the scenario's."""
    more = {"name": "more", "type": "chat", "source": "example/more", "devices": {"cpu": True}, "direct": True}
    return {
        "fleet_models": [*promise.door.models, more],
        "fleet_direct_keys": [{"name": "made"}, {"name": "second"}],
        "fleet_caddy": {"max_body_mb": 7},
    }


@pytest.fixture(scope="module")
def seen() -> dict[str, set[str]]:
    """File -> its checksums while the disk was full."""
    return {}


# From nothing on upwards, so that each run gets further than the one before.
ROOM = some(range(8))


@pytest.mark.fault("disk full while configuration is written")
@pytest.mark.parametrize("kb", ROOM)
def test_a_full_disk_is_reported_and_what_was_there_is_served(
    promise: Promise,
    machine: Machine,
    admin: Admin,
    small_disk: None,
    larger: Mapping[str, Any],
    seen: dict[str, set[str]],
    kb: int,
) -> None:
    for file, checksum in checksums(machine).items():
        seen.setdefault(file, {checksum})
    fill(machine, kb)
    run = admin.play("install", "--limit", machine.name, variables=larger)
    machine.host.check_output(f"rm {FILLER}")
    if run.status or not kb:  # what the runs before this one wrote is done: there may be room for the rest
        assert run.status != 0
        assert "No space left on device" in run.messages
    for file, checksum in checksums(machine).items():
        seen.setdefault(file, set()).add(checksum)
    assert promise.unanswered() == []


@pytest.mark.extended
def test_once_there_is_room_the_next_run_finishes(
    promise: Promise,
    machine: Machine,
    small_disk: None,
    larger: Mapping[str, Any],
    seen: dict[str, set[str]],
) -> None:
    before = {file: next(iter(sums)) for file, sums in seen.items() if len(sums) == 1}
    promise.settles(larger)
    promise.holds(larger["fleet_models"])
    after = checksums(machine)
    half_written = {file for file, sums in seen.items() if len(sums - {after[file]}) > 1}
    assert not half_written, f"neither as before nor as wanted: {half_written} ({before})"


def checksums(machine: Machine) -> dict[str, str]:
    lines = machine.host.check_output(f"find {FOLDER} -type f -exec sha256sum {{}} +").splitlines()
    return {path: checksum for checksum, path in map(str.split, lines)}


def fill(machine: Machine, left_kb: int) -> None:
    # Block by block and synced, otherwise the file system reserves space.
    machine.host.run(f"dd if=/dev/zero of={FILLER} bs=1K")
    if left_kb:
        machine.host.check_output(f"truncate --size -{left_kb}K {FILLER}")

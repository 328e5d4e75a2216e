"""What a container may leave in the cache of weights, and root's answer. The host's own files are beside the cache."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import Cached, Removal, plan_prune, whole
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder, size_of
from ansible_collections.inference.fleet.plugins.module_utils.system import folder as system_folder
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import Folder
from ansible_collections.inference.fleet.tests.unit.engine.test_downloads import (
    COMMIT,
    DOWNLOAD,
    FILES,
    WANTED,
    Engine,
    listing,
    put,
    run,
)

OLD = "d" * 40
SECRET = "root:$6$"


class Host:
    """A host's own folder and the cache. hub: the folder of the one repository."""

    def __init__(self, root: Path) -> None:
        self.own = root / "etc"
        for path in ("shadow", "own.json", f"{COMMIT}/config.json", "blobs/weights"):
            (self.own / path).parent.mkdir(parents=True, exist_ok=True)
            (self.own / path).write_text(SECRET)
        self.root = root / "cache"
        self.hub = self.root / "hub/models--own--a"
        self.hub.mkdir(parents=True)
        self.cache = CacheFolder(str(self.root))

    @property
    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.own)): path.read_text() for path in self.own.rglob("*") if path.is_file()}

    def link(self, name: str, target: Path | str) -> None:
        (self.hub / name).parent.mkdir(parents=True, exist_ok=True)
        (self.hub / name).symlink_to(target)

    def prune(self, *wanted: object) -> list[str]:
        removals = plan_prune([WANTED] if wanted else [], self.cache.observe())
        for removal in removals:
            self.cache.remove(removal)
        return list(map(str, removals))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Afterwards the host's own files are as before. What blocks fails after two minutes."""

    def give_up(*_signal: object) -> None:
        pytest.fail("root waits for what a container left")

    host = Host(tmp_path)
    before = host.files
    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 120, 1)
    yield host
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)
    assert host.files == before


@pytest.mark.parametrize("target", ["shadow", "own.json", f"{COMMIT}", "missing"])
def test_a_file_that_links_to_the_host_is_missing_and_only_the_link_goes(target: str, host: Host) -> None:
    host.link(f"snapshots/{COMMIT}/config.json", host.own / target)
    put(host.root, "sub/model.safetensors", 1000)
    assert host.cache.observe()["own/a"].snapshots[COMMIT].keys() == {"sub/model.safetensors"}
    with pytest.raises(FleetError, match="1 files differ in size"):
        host.cache.verify(DOWNLOAD)
    assert not (host.hub / f"snapshots/{COMMIT}/config.json").is_symlink()


@pytest.mark.parametrize(
    "target", ["../../blobs/../../../../etc/shadow", "../../blobs/..", "../blobs/a", "../../blobs/", "/blobs/a"]
)
def test_only_a_link_to_a_blob_of_the_same_repository_counts(target: str, host: Host) -> None:
    put(host.root, "sub/model.safetensors", 1000)
    host.link(f"snapshots/{COMMIT}/config.json", target)
    assert host.cache.observe()["own/a"].snapshots[COMMIT].keys() == {"sub/model.safetensors"}
    with pytest.raises(FleetError):
        host.cache.verify(DOWNLOAD)
    assert (host.hub / "blobs").is_dir()


def test_a_blob_that_links_to_the_host_is_removed_and_its_target_stays(host: Host) -> None:
    put(host.root, "config.json", 2)
    (host.hub / "blobs/config.json").unlink()
    host.link("blobs/config.json", host.own / "shadow")
    with pytest.raises(FleetError, match="2 files differ in size"):
        host.cache.verify(DOWNLOAD)
    assert list((host.hub / "blobs").iterdir()) == []


def test_a_linked_folder_inside_of_a_snapshot_is_not_entered(host: Host) -> None:
    host.link(f"snapshots/{COMMIT}/sub", host.own)
    wanted = replace(DOWNLOAD, files={"sub/shadow": 1, "sub/blobs/weights": 1})
    with pytest.raises(FleetError, match="2 files differ in size"):
        host.cache.verify(wanted)
    assert not (host.hub / f"snapshots/{COMMIT}/sub").is_symlink(), "the next download creates a folder there"


@pytest.mark.parametrize("part", ["snapshots", "blobs", "trees", "refs"])
def test_a_linked_part_of_a_repository_has_nothing_and_is_no_way_out(part: str, host: Host) -> None:
    (host.own / COMMIT / "own.json").write_text(SECRET)
    (host.own / OLD).mkdir()
    (host.own / "main").write_text(COMMIT)
    before = host.files
    host.link(part, host.own)
    found = host.cache.observe_one(DOWNLOAD.pinned)
    assert found == Cached()
    host.cache.remove(Removal("own/a", OLD, 0, ("shadow", "own.json")))
    host.prune()
    assert host.files == before
    assert not host.hub.exists()
    (host.own / "main").unlink()
    (host.own / COMMIT / "own.json").unlink()


def test_a_linked_repository_is_none(host: Host) -> None:
    host.hub.rmdir()
    host.hub.symlink_to(host.own)
    assert host.cache.observe() == {}
    assert host.cache.arrived("own/a") == 0
    host.cache.remove(Removal("own/a", OLD, 0, ("weights",)))
    host.cache.remove(Removal("own/a", None, 0))
    assert not host.hub.is_symlink()


@pytest.mark.parametrize("part", ["snapshots", "blobs", "trees", "refs", ""])
def test_a_download_replaces_links_by_folders(part: str, host: Host) -> None:
    host.hub.rmdir()
    if part:
        host.link(part, host.own)
    else:
        host.hub.symlink_to(host.own)
    run(Engine(host.root, FILES), host.cache)
    assert host.cache.observe()["own/a"].refs == {"main": COMMIT}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../blobs/config.json", "own.json"])
def test_a_file_that_is_wrong_before_a_download_is_not_there_when_the_client_looks(target: str, host: Host) -> None:
    """The client keeps what it finds under the name, also a link to a file of its own image."""
    put(host.root, "other", 5)
    (host.hub / "blobs/other").rename(host.hub / "blobs/config.json")
    host.link(f"snapshots/{COMMIT}/config.json", target)
    run(Engine(host.root, FILES), host.cache)  # `put` fails where a link of this name is left
    assert host.cache.observe_one(DOWNLOAD.pinned).lacks(COMMIT, FILES) == {}


def test_what_a_container_links_during_a_download_gets_no_file_of_root(host: Host) -> None:
    for path, size in FILES.items():
        put(host.root, path, size)
    host.link("refs", host.own)
    (host.root / "inference-fleet").symlink_to(host.own)
    host.cache.record(DOWNLOAD)
    cached = host.cache.observe_one(DOWNLOAD.pinned)
    assert (cached.refs, set(cached.records)) == ({"main": COMMIT}, {COMMIT})


@pytest.mark.parametrize("name", ["main", ".main.new"])
def test_a_linked_branch_is_replaced(name: str, host: Host) -> None:
    host.link(f"refs/{name}", host.own / "shadow")
    host.cache.record(DOWNLOAD)
    assert (host.hub / "refs/main").read_text() == COMMIT
    assert [one.name for one in (host.hub / "refs").iterdir()] == ["main"]


def test_the_records_of_another_repository_cannot_be_reached_by_a_branch_of_points(host: Host) -> None:
    for revision in ("../../../../etc/shadow", "..", "a/../../x", "/etc/x", ""):
        with pytest.raises(FleetError, match="expected the name of a file or folder"):
            host.cache.record(replace(DOWNLOAD, wanted=replace(WANTED, revision=revision)))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    """A socket, by way of a descriptor, since its path must be short."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # /dev/null
    except PermissionError:
        pytest.skip("only root may create devices")


@pytest.mark.parametrize("plant", [pipe, bound, device, Path.mkdir])
def test_what_is_no_file_is_neither_opened_nor_waited_for(
    plant: Callable[[Path], None], host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_only(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        with suppress(FileNotFoundError):
            found = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
            assert stat.S_ISREG(found.st_mode) or flags & os.O_DIRECTORY, f"root opened {path}"
        return really(path, flags, mode, dir_fd=dir_fd)

    really = os.open
    monkeypatch.setattr(os, "open", open_only)
    for path, size in FILES.items():
        put(host.root, path, size)
    for folder in ("refs", "trees", "blobs", f"snapshots/{COMMIT}"):
        (host.hub / folder).mkdir(exist_ok=True)
    records = host.root / "inference-fleet/models--own--a"
    records.mkdir(parents=True)
    planted = [
        *(host.hub / one for one in ("refs/main", f"trees/{COMMIT}.json", "blobs/x", f"snapshots/{COMMIT}/x")),
        records / f"{COMMIT}.json",
    ]
    for path in planted:
        plant(path)
    found = host.cache.observe_one(DOWNLOAD.pinned)
    assert (found.refs, found.records, found.listings) == ({}, {}, {})
    assert found.snapshots == {
        COMMIT: {"config.json": (2, "config.json"), "sub/model.safetensors": (1000, "sub-model.safetensors")}
    }
    host.cache.verify(DOWNLOAD)
    host.cache.record(DOWNLOAD)
    assert host.cache.observe()["own/a"].refs == {"main": COMMIT}
    assert host.prune() == ["own/a (1.0 kB)"]
    assert not host.hub.exists()


def test_a_device_or_folder_in_place_of_a_wanted_file_is_removed(host: Host) -> None:
    put(host.root, "sub/model.safetensors", 1000)
    (host.hub / f"snapshots/{COMMIT}/config.json/deep").mkdir(parents=True)
    with pytest.raises(FleetError, match=r"1 files differ .* such as config\.json"):
        host.cache.verify(DOWNLOAD)
    assert not (host.hub / f"snapshots/{COMMIT}/config.json").exists()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", b"\x1b[31mred", b"a\xe2\x80\xa8b"])
def test_names_that_are_no_text_of_one_line_are_left_out_and_can_be_removed(name: bytes, host: Host) -> None:
    put(host.root, "config.json", 2)
    for folder in ("refs", "trees", "blobs", "snapshots", f"snapshots/{COMMIT}", "."):
        (host.hub / folder).mkdir(exist_ok=True)
        (host.hub / folder / os.fsdecode(name)).write_text(COMMIT)
    (host.root / "hub" / os.fsdecode(b"models--own--" + name)).mkdir()
    assert host.cache.observe().keys() == {"own/a"}
    found = host.cache.observe_one(DOWNLOAD.pinned)
    assert (found.refs, found.snapshots.keys(), found.blobs) == ({}, {COMMIT}, {"config.json": 2})
    host.prune()
    assert not host.hub.exists()


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b"", b"../../../etc", b"c" * 41, b"c" * (1 << 20), b"C" * 40, b"\x1b]0;x\x07"]
)
def test_a_branch_that_names_no_commit_counts_as_missing(text: bytes, host: Host) -> None:
    (host.hub / "refs").mkdir()
    (host.hub / "refs/main").write_bytes(text)
    assert host.cache.observe()["own/a"].refs == {}


@pytest.mark.parametrize("name", ["etc", "c" * 39, "c" * 41, "C" * 40, "main"])
def test_only_40_digits_name_a_snapshot(name: str, host: Host) -> None:
    put(host.root, "config.json", 2, commit=name)
    assert host.cache.observe()["own/a"].snapshots == {}


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"weights": true, "files": {"a": 1e999}}',
        b'{"weights": true, "files": {"a": ' + b"9" * 5_000_000 + b"}}",
        b'{"weights": true, "files": {"a": NaN}}',
        b'{"weights": true, "files": ["a"]}',
        b'{"weights": true, "files": {"a": true}}',
        b'{"weights": true, "files": {"a": "' + b"9" * 1_500_000 + b'"}}',
        b'{"weights": true, "files": {"a": [' + b"{}," * 600_000 + b"{}]}}",
        b"\xff\xfe",
    ],
)
def test_a_record_that_was_made_to_hurt_counts_as_missing(text: bytes, host: Host) -> None:
    put(host.root, "config.json", 2)
    records = host.root / "inference-fleet/models--own--a"
    records.mkdir(parents=True)
    (records / f"{COMMIT}.json").write_bytes(text)
    listing(host.root, "a").write_bytes(text)
    found = host.cache.observe_one(DOWNLOAD.pinned)
    assert (found.records, found.listings) in [({}, {}), ({}, {COMMIT: frozenset("a")})]


def test_a_record_without_end_is_not_read(host: Host) -> None:
    put(host.root, "config.json", 2)
    path = listing(host.root, "a")
    os.truncate(path, 1 << 40)  # 1 TB of nothing
    assert host.cache.observe_one(DOWNLOAD.pinned).listings == {}


class Read:
    """The bytes that root reads in records and listings."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all = 0
        really = Folder.read

        def read(folder: Folder, name: str, most: int) -> bytes | None:
            content = really(folder, name, most)
            self.all += len(content or b"") if name.endswith(".json") else 0
            return content

        monkeypatch.setattr(Folder, "read", read)


def planted(host: Host, number: int, size: int) -> str:
    """A record and a listing with hard links to one file, for a commit that has a snapshot."""
    commit = f"{number:040x}"
    put(host.root, f"file-{number}", 1, commit=commit)
    original = host.root / "original"
    if not original.exists():
        original.write_text(json.dumps({"weights": True, "files": {"x" * size: 1}}))
    for folder in (host.root / "inference-fleet/models--own--a", host.hub / "trees"):
        folder.mkdir(parents=True, exist_ok=True)
        os.link(original, folder / f"{commit}.json")
    return commit


def test_of_many_planted_records_only_those_of_wanted_revisions_are_read(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(Engine(host.root, FILES), host.cache)
    for number in range(50):
        planted(host, number, 1_000_000)
    read = Read(monkeypatch)
    assert whole(WANTED, host.cache.observe([WANTED])["own/a"]) == COMMIT
    host.prune(WANTED)
    assert 0 < read.all < 1000


def test_all_records_together_have_a_limit(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [replace(WANTED, revision=planted(host, number, 1_000_000)) for number in range(12)]
    read = Read(monkeypatch)
    found = host.cache.observe(wanted)["own/a"]
    assert 15_000_000 < read.all <= 16 << 20
    assert len(found.records) + len(found.listings) == 16
    assert len(found.snapshots) == 12, "the others count as missing, and their files are there"


@pytest.mark.parametrize(("files", "is_read"), [(1_000, True), (6_000, True), (50_000, False)])
def test_records_of_real_repositories_are_far_below_the_limit(files: int, is_read: bool, host: Host) -> None:
    """huggingface_hub, _tree_cache.py: what a listing has for each file."""
    put(host.root, "config.json", 2)
    blob = {"size": 5 << 30, "blob_id": "0" * 40, "lfs_sha256": "0" * 64, "lfs_size": 5 << 30, "xet_hash": "0" * 64}
    names = [f"model-{number:05}-of-{files:05}.safetensors" for number in range(files)]
    listing(host.root).write_text(json.dumps({"format_version": 1, "files": dict.fromkeys(names, blob)}, indent=1))
    assert (COMMIT in host.cache.observe_one(DOWNLOAD.pinned).listings) is is_read


def test_a_folder_of_too_many_files_is_not_counted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_folder, "MOST_ENTRIES", 5)
    host.hub.mkdir(parents=True, exist_ok=True)
    for number in range(6):
        (host.hub / str(number)).touch()
    assert size_of(str(host.hub)) is None


def test_a_tree_deeper_than_paths_reach_is_measured_in_part_and_removed(host: Host) -> None:
    (host.hub / "blobs").mkdir()
    (host.hub / "blobs/weights").write_bytes(bytes(7))
    here = os.open(host.hub, os.O_RDONLY)
    for _level in range(1500):  # more than Python nests calls, and than PATH_MAX allows for a path
        os.mkdir("d", dir_fd=here)
        lower = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = lower
    os.symlink(host.own, "out", dir_fd=here)
    os.close(here)
    assert size_of(str(host.hub)) == 7
    assert host.prune() == ["own/a (7 bytes)"]
    assert not host.hub.exists()


def test_a_cache_that_is_used_as_intended_keeps_its_meaning(host: Host) -> None:
    """The opposite of an attack: nested files, two revisions that share a blob, and a copy without links."""
    put(host.root, "config.json", 2)
    put(host.root, "a/b/c.safetensors", 1000)
    put(host.root, "old.safetensors", 9, commit=OLD)
    (host.hub / f"snapshots/{OLD}/config.json").symlink_to("../../blobs/config.json")
    (host.hub / f"snapshots/{COMMIT}/copy.json").write_text("{}")
    host.cache.record(replace(DOWNLOAD, files={"config.json": 2}))
    snapshot = host.cache.observe()["own/a"].snapshots[COMMIT]
    assert {path: size for path, (size, _blob) in snapshot.items()} == {
        "config.json": 2,
        "a/b/c.safetensors": 1000,
        "copy.json": 2,
    }
    assert host.prune(WANTED) == ["own/a at dddddddddddd (9 bytes)"]
    assert host.cache.observe()["own/a"].snapshots == {COMMIT: snapshot}

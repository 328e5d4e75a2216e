"""A download: its container, its files on the disk, and its progress messages."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import (
    Download,
    Record,
    Removal,
    Wanted,
    whole,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Container, Mount, Spec
from ansible_collections.inference.fleet.plugins.module_utils.engine.downloads import fetch, spec_of, token_in_file
from ansible_collections.inference.fleet.plugins.module_utils.engine.progress import Progress
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import CERTIFICATE, fleet

COMMIT = "c" * 40
FILES = {"config.json": 2, "sub/model.safetensors": 1000}
WANTED = Wanted("own/a", "main", True, ("a",))
DOWNLOAD = Download(WANTED, COMMIT, FILES, FILES)
TOKEN = "hf_0123456789"


def put(root: Path, path: str, size: int, commit: str = COMMIT, repo: str = "models--own--a") -> None:
    """A file as the hub's client leaves it: a blob, and a link to it."""
    blob = root / "hub" / repo / "blobs" / path.replace("/", "-")
    link = root / "hub" / repo / "snapshots" / commit / path
    for folder in (blob.parent, link.parent):
        folder.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(bytes(size))
    link.symlink_to(os.path.relpath(blob, link.parent))


class Engine:
    """A FAKE of Docker with one container, which downloads `files` over a few looks and ends with `code`."""

    def __init__(self, root: Path, files: dict[str, int], code: int = 0, log: tuple[str, ...] = ()) -> None:
        self.root, self.files, self.code, self.log = root, files, code, log
        self.journal: list[str] = []
        self.container: Container | None = None
        self.looks = 0
        self.start_fails = ""

    def has_image(self, reference: str) -> bool:
        return "pull" in self.journal

    def pull(self, reference: str) -> None:
        self.journal.append("pull")

    def create(self, spec: Spec) -> None:
        self.journal.append("create")
        self.container = Container("id", spec, "created")

    def start(self, name: str) -> None:
        if self.start_fails:
            raise FleetError(self.start_fails)
        self.journal.append("start")
        assert self.container
        self.container = replace(self.container, status="running")

    def inspect(self, name: str) -> Container | None:
        if self.container and self.container.status == "running":
            self.looks += 1
            if self.looks == 3:
                for path, size in self.files.items():
                    put(self.root, path, size)
                self.container = replace(self.container, status="exited", exit_code=self.code)
        return self.container

    def remove(self, container_id: str, name: str) -> None:
        self.journal.append("remove")
        self.container = None

    def last_lines(self, name: str, count: int) -> list[str]:
        return list(self.log)


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    return CacheFolder(str(tmp_path))


def run(engine: Engine, folder: CacheFolder, seconds: int = 6) -> list[str]:
    """What was said. seconds: between two looks at the clock."""
    said: list[str] = []
    spec = spec_of(DOWNLOAD, fleet(), "own/vllm:1", None)
    clock = iter(range(0, 1000, seconds))
    fetch(DOWNLOAD, spec, engine, folder, said.append, pause=lambda _seconds: None, now=lambda: float(next(clock)))
    return said


def fault(engine: Engine, folder: CacheFolder) -> str:
    with pytest.raises(FleetError) as caught:
        run(engine, folder)
    return str(caught.value)


# The container


def test_the_container_downloads_the_chosen_files_of_one_commit_and_nothing_else() -> None:
    spec = spec_of(DOWNLOAD, fleet(cache={"endpoint": "https://hub.example/"}), "own/vllm:1", "/etc/ssl/bundle.crt")
    assert spec.entrypoint + spec.command == (
        *("hf", "download", "own/a", "config.json", "sub/model.safetensors"),
        *("--revision", COMMIT),
    )
    assert spec.env["HF_ENDPOINT"] == "https://hub.example"
    assert spec.env["HF_HOME"] == "/var/cache/inference-fleet", "where the cache is, whatever HOME the image has"
    assert spec.env["SSL_CERT_FILE"] == "/run/secrets/host-certificates.crt"
    assert Mount("/etc/ssl/bundle.crt", "/run/secrets/host-certificates.crt", read_only=True) in spec.mounts
    assert "HTTPS_PROXY" not in spec.env
    assert Mount("fleet-hf-cache", "/var/cache/inference-fleet") in spec.mounts
    assert (spec.user, spec.capabilities, spec.new_privileges) == ("0", ("DAC_OVERRIDE",), False)
    assert spec.labels == {"managed-by": "inference.fleet", "service": "download"}
    assert spec.restart == "no"
    assert spec.networks == ("fleet-download",)


def test_the_container_uses_the_proxy_and_the_certificates_of_the_site() -> None:
    proxy = {"url": "http://me:secret@proxy.example:3128", "no_proxy": ["corp.example"]}
    behind = fleet(proxy=proxy, ca_bundle=CERTIFICATE, cache={"endpoint": "http://hub.corp.example"})
    spec = spec_of(DOWNLOAD, behind, "own/vllm:1", "/etc/ssl/bundle.crt")
    assert {spec.env["HTTPS_PROXY"], spec.env["https_proxy"], spec.env["HTTP_PROXY"]} == {proxy["url"]}
    assert spec.env["NO_PROXY"] == "localhost,127.0.0.1,::1,corp.example"
    assert spec.env["REQUESTS_CA_BUNDLE"] == "/run/secrets/host-certificates.crt"
    assert "secret" not in " ".join((*spec.entrypoint, *spec.command))


def test_the_token_is_a_mounted_file_and_stands_nowhere_in_the_container() -> None:
    spec = spec_of(DOWNLOAD, fleet(hf_token=TOKEN), "own/vllm:1", None, "/run/token")
    assert TOKEN not in str(spec)
    assert spec.env["HF_TOKEN_PATH"] == "/run/secrets/hf-token"
    assert Mount("/run/token", "/run/secrets/hf-token", read_only=True) in spec.mounts


def test_the_tokens_file_is_roots_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with token_in_file(TOKEN, str(tmp_path / "run")) as path:
        assert path
        assert Path(path).read_text() == TOKEN
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert not Path(path).exists()
    with token_in_file(None, str(tmp_path / "run")) as path:
        assert path is None


def test_a_run_that_ends_leaves_the_token_of_another(tmp_path: Path) -> None:
    with token_in_file(TOKEN, str(tmp_path)) as path:
        with token_in_file("hf_other", str(tmp_path)):
            pass
        assert path
        assert Path(path).read_text() == TOKEN


# One download


def test_what_arrived_whole_is_noted_and_its_branch_stands_for_it(tmp_path: Path, folder: CacheFolder) -> None:
    engine = Engine(tmp_path, FILES)
    said = run(engine, folder)
    assert engine.journal == ["pull", "create", "start", "remove"]
    cached = folder.observe_one(DOWNLOAD.pinned)
    assert (cached.refs, cached.records) == ({"main": COMMIT}, {COMMIT: Record(True, FILES)})
    assert said[1:] == ["own/a: 0 bytes of 1.0 kB (0 %)", "own/a: 1.0 kB complete, at cccccccccccc"]


def test_a_share_that_refuses_owners_takes_the_note(
    tmp_path: Path, folder: CacheFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS with root_squash."""

    def refuse(path: str, *_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr(os, "chown", refuse)
    run(Engine(tmp_path, FILES), folder)
    assert folder.observe_one(DOWNLOAD.pinned).records == {COMMIT: Record(True, FILES)}
    refs = tmp_path / "hub/models--own--a/refs"
    assert [(one.name, stat.S_IMODE(one.stat().st_mode)) for one in refs.iterdir()] == [("main", 0o644)]


def test_progress_is_reported_with_speed_and_time_left(tmp_path: Path, folder: CacheFolder) -> None:
    (tmp_path / "hub/models--own--a/blobs").mkdir(parents=True)
    half = tmp_path / "hub/models--own--a/blobs/x.incomplete"

    class Slow(Engine):
        def inspect(self, name: str) -> Container | None:
            half.write_bytes(bytes(501) if self.looks else b"")
            return super().inspect(name)

    slow = Slow(tmp_path, FILES)
    assert "own/a: 501 bytes of 1.0 kB (50 %), 11 bytes/s, 1 min left" in run(slow, folder, seconds=11)


def test_one_that_another_run_began_is_waited_for(tmp_path: Path, folder: CacheFolder) -> None:
    engine = Engine(tmp_path, FILES)
    engine.container = Container("id", spec_of(DOWNLOAD, fleet(), "own/vllm:1", None), "running")
    run(engine, folder)
    assert engine.journal == ["remove"]


def test_a_file_of_another_size_is_removed_and_reported(tmp_path: Path, folder: CacheFolder) -> None:
    message = fault(Engine(tmp_path, {**FILES, "config.json": 1}), folder)
    assert message.startswith("own/a: 1 files differ in size from the hub's, such as config.json, expected 2 bytes")
    assert folder.observe()["own/a"].snapshots[COMMIT].keys() == {"sub/model.safetensors"}
    assert folder.observe()["own/a"].refs == {}, "no start takes it for whole"


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (("OSError: [Errno 28] No space left on device",), "the disk is full; prune_cache removes what no model uses"),
        (("Error: boom",), "it ended with 1"),
        ((), "it ended with 1"),
    ],
)
def test_one_that_breaks_off_is_reported_with_what_is_missing(
    log: tuple[str, ...], why: str, tmp_path: Path, folder: CacheFolder
) -> None:
    message = fault(Engine(tmp_path, {"config.json": 2}, code=1, log=log), folder)
    assert message.startswith(f"own/a: the download failed with 1.0 kB missing: {why}")
    assert "the next run downloads the others" in message
    assert message.endswith(f"the end of its log:\n    {log[0] if log else '(nothing)'}")


def test_an_image_without_the_client_is_reported(tmp_path: Path, folder: CacheFolder) -> None:
    engine = Engine(tmp_path, FILES)
    engine.start_fails = 'starting: exec: "hf": executable file not found in $PATH'
    assert fault(engine, folder).startswith("image own/vllm:1: has no `hf`")
    assert engine.container is None
    engine.start_fails = "starting: something else"
    assert fault(engine, folder) == "starting: something else"


def test_a_container_that_somebody_removed_is_reported(tmp_path: Path, folder: CacheFolder) -> None:
    class Gone(Engine):
        def inspect(self, name: str) -> Container | None:
            return None

    assert "was removed; run again, and the download continues" in fault(Gone(tmp_path, FILES), folder)


def test_one_whose_end_another_run_saw_first_is_there(tmp_path: Path, folder: CacheFolder) -> None:
    class Shared(Engine):
        def inspect(self, name: str) -> Container | None:
            found = super().inspect(name)
            if found and found.status == "exited":
                folder.record(DOWNLOAD)
                self.container = None
            return self.container

    engine = Shared(tmp_path, FILES)
    assert run(engine, folder)[-1] == "own/a: 1.0 kB complete, at cccccccccccc"
    assert engine.journal == ["pull", "create", "start"]


@pytest.mark.parametrize("files", [FILES, {**FILES, "config.json": 1}])
def test_the_container_stays_until_what_arrived_is_noted(
    files: dict[str, int], tmp_path: Path, folder: CacheFolder
) -> None:
    class Watchful(Engine):
        def remove(self, container_id: str, name: str) -> None:
            super().remove(container_id, name)
            self.noted = COMMIT in folder.observe_one(DOWNLOAD.pinned).records

    engine = Watchful(tmp_path, files)
    with suppress(FleetError):
        run(engine, folder)
    assert (engine.journal[-1], engine.noted) == ("remove", files == FILES)


def test_parts_that_no_download_goes_on_with_are_cleared_and_others_kept(tmp_path: Path, folder: CacheFolder) -> None:
    blobs = tmp_path / "hub/models--own--a/blobs"
    blobs.mkdir(parents=True)
    for name in ("f00d.0123abcd.incomplete", "f00d.incomplete"):
        (blobs / name).write_bytes(bytes(10))
    run(Engine(tmp_path, FILES), folder)
    assert {path.name for path in blobs.glob("*.incomplete")} == {"f00d.incomplete"}


# The folder


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    folder = CacheFolder(str(tmp_path / "not" / "there"))
    assert folder.observe() == {}
    assert folder.arrived("own/a") == 0
    assert folder.free() > 0


def test_links_that_lead_nowhere_and_records_that_cannot_be_read_count_as_absent(
    tmp_path: Path, folder: CacheFolder
) -> None:
    for path in ("config.json", "other"):
        put(tmp_path, path, 2)
    (tmp_path / "hub/models--own--a/blobs/config.json").unlink()
    record = tmp_path / "inference-fleet/models--own--a" / f"{COMMIT}.json"
    record.parent.mkdir(parents=True)
    for text in ("", "[]", json.dumps({"weights": True})):
        record.write_text(text)
        found = folder.observe_one(DOWNLOAD.pinned)
        assert (found.snapshots[COMMIT].keys(), found.records) == ({"other"}, {})


def test_removing_a_revision_leaves_the_others(tmp_path: Path, folder: CacheFolder) -> None:
    put(tmp_path, "config.json", 2)
    put(tmp_path, "old.safetensors", 9, commit="d" * 40)
    folder.remove(Removal("own/a", "d" * 40, 9, ("old.safetensors",)))
    cached = folder.observe_one(DOWNLOAD.pinned)
    assert (cached.snapshots.keys(), cached.blobs) == ({COMMIT}, {"config.json": 2})


def test_removing_a_repository_removes_its_record_too(tmp_path: Path, folder: CacheFolder) -> None:
    run(Engine(tmp_path, FILES), folder)
    put(tmp_path, "config.json", 2, repo="models--own--b")
    folder.remove(Removal("own/a", None, 1002))
    assert folder.observe().keys() == {"own/b"}
    assert not (tmp_path / "inference-fleet/models--own--a").exists()


def listing(root: Path, *files: str, commit: str = COMMIT) -> Path:
    """The hub client's list of all files of the commit."""
    path = root / "hub/models--own--a/trees" / f"{commit}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {name: {"size": 1, "blob_id": "0" * 40} for name in files}
    path.write_text(json.dumps({"format_version": 1, "files": entries}))
    return path


@pytest.mark.parametrize(("more", "kept"), [((), True), ((".gitattributes",), False), (("pytorch_model.bin",), False)])
def test_a_download_leaves_no_list_of_files_that_it_left_out(
    more: tuple[str, ...], kept: bool, tmp_path: Path, folder: CacheFolder
) -> None:
    path, other = listing(tmp_path, *FILES, *more), listing(tmp_path, "other", commit="d" * 40)
    run(Engine(tmp_path, FILES), folder)
    assert (path.exists(), other.exists()) == (kept, True)
    assert whole(WANTED, folder.observe_one(DOWNLOAD.pinned)) == COMMIT


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": []}'])
def test_a_list_of_files_that_cannot_be_read_counts_as_absent(text: str, tmp_path: Path, folder: CacheFolder) -> None:
    put(tmp_path, "config.json", 2)
    listing(tmp_path).write_text(text)
    assert folder.observe_one(DOWNLOAD.pinned).listings == {}


def test_a_record_of_an_earlier_version_is_read(tmp_path: Path, folder: CacheFolder) -> None:
    record = tmp_path / "inference-fleet/models--own--a" / f"{COMMIT}.json"
    put(tmp_path, "config.json", 2)
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"weights": True, "files": FILES}))
    assert folder.observe_one(DOWNLOAD.pinned).records == {COMMIT: Record(True, FILES)}
    folder.record(replace(DOWNLOAD, wanted=replace(WANTED, everything=True)))
    assert folder.observe_one(DOWNLOAD.pinned).records == {COMMIT: Record(True, FILES, everything=True)}


@pytest.mark.parametrize("act", [CacheFolder.observe, lambda folder: folder.record(DOWNLOAD)])
def test_a_disk_in_trouble_is_reported_with_its_path(
    act: Callable[[CacheFolder], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(5, "Input/output error")

    blobs = tmp_path / "hub/models--own--a/blobs"
    blobs.mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(
        FleetError, match=f"the cache of weights {tmp_path}: ({tmp_path}/hub|{blobs}): Input/output error"
    ):
        act(CacheFolder(str(tmp_path)))


def test_progress_is_lines_of_a_file_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run" / "progress"
    for say in (Progress(str(path)), Progress(None)):
        say("one\nline")
        say("another")
    assert path.read_text() == "one line\nanother\n"

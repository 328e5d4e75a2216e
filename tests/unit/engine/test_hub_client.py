"""Downloads with the newest client of the hub, from the lab's stand-in, and what this client then reads offline."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import (
    Cached,
    Listing,
    Wanted,
    plan_download,
    plan_fill,
    whole,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder
from ansible_collections.inference.fleet.plugins.module_utils.engine.downloads import spec_of
from ansible_collections.inference.fleet.plugins.module_utils.engine.hub import Hub
from ansible_collections.inference.fleet.tests.unit.engine.test_hub import STAND_IN, serving
from ansible_collections.inference.fleet.tests.unit.samples import fleet

pytest.importorskip("huggingface_hub")  # the scenario newest installs only some of requirements-dev.txt

REPO = "own/a"
ALL = {".gitattributes", "config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json"}
READ = ALL - {".gitattributes", "pytorch_model.bin"}
SNAPSHOT = "import sys, huggingface_hub; print(huggingface_hub.snapshot_download(sys.argv[1]))"


class Site:
    """A hub, and a host's cache in `folder`."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.cache = CacheFolder(str(folder))

    @property
    def cached(self) -> Cached:
        return self.cache.observe_one(wanted())

    def download(self, wanted: Wanted, record: bool = True) -> None:
        """As a download container does, without a container."""
        download = plan_download(wanted, self.cached, Hub(self.url, None).revision(REPO, wanted.revision))
        spec = spec_of(download, fleet(cache={"endpoint": self.url}), "own/vllm:1", None)
        self._run(Path(sys.executable).with_name(spec.entrypoint[0]), *spec.entrypoint[1:], *spec.command, **spec.env)
        self.cache.verify(download)
        if record:
            self.cache.record(download)

    def offline(self) -> subprocess.CompletedProcess[str]:
        """As vLLM asks for a model: the whole repository, without patterns."""
        return self._run(sys.executable, "-c", SNAPSHOT, REPO, check=False, HF_HUB_OFFLINE="1")

    def files(self) -> set[str]:
        """Those that an offline program gets."""
        done = self.offline()
        assert done.returncode == 0, done.stderr
        return {path.name for path in Path(done.stdout.strip()).iterdir()}

    def _run(self, *command: str | Path, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], **env, "HF_HOME": str(self.folder)}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=check)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    repository = tmp_path / "hub" / REPO
    repository.mkdir(parents=True)
    for name in ALL - {".gitattributes"}:  # every repository of the stand-in has this file
        (repository / name).write_bytes(b"x" * 200_000 if name == "model.safetensors" else b"{}")
    hub: Any = STAND_IN.Hub(tmp_path / "hub")
    with serving(hub, "127.0.0.1") as port:
        yield Site(f"http://127.0.0.1:{port}", tmp_path / "cache")


def wanted(weights: bool = True, everything: bool = False) -> Wanted:
    return Wanted(REPO, "main", weights, ("a",), everything)


def test_the_client_accepts_offline_what_was_left_out(site: Site) -> None:
    site.download(wanted())
    assert site.files() == READ


def test_the_client_itself_refuses_it_and_the_next_run_mends_such_a_cache(site: Site) -> None:
    """As an earlier version of the collection left it."""
    site.download(wanted(), record=False)
    listed = site.cached
    site.cache.record(plan_download(wanted(), listed, Hub(site.url, None).revision(REPO, "main")))
    (commit,) = listed.snapshots
    path = site.folder / "hub/models--own--a/trees" / f"{commit}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"format_version": 1, "files": {"pytorch_model.bin": {"size": 2, "blob_id": "0"}}}')
    assert "IncompleteSnapshotError" in site.offline().stderr
    plan = plan_fill([wanted()], site.cache.observe([wanted()]), {}, 1)
    assert plan.listings == (Listing(REPO, commit),)
    site.cache.remove_listing(*plan.listings)
    assert site.files() == READ


def test_a_download_of_everything_is_whole_for_the_client(site: Site) -> None:
    site.download(wanted(everything=True))
    (listed,) = site.cached.listings.values()
    assert site.files() == listed == ALL


def test_weights_follow_a_description_of_the_same_commit(site: Site) -> None:
    site.download(wanted(weights=False))
    assert site.files() == READ - {"model.safetensors"}
    site.download(wanted())
    assert site.files() == READ
    site.download(wanted(everything=True))
    assert site.files() == ALL
    assert whole(wanted(everything=True), site.cached)

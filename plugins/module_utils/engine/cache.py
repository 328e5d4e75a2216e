# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of weights: what models want of a hub, what is there, and the difference. Pure.

The cache is huggingface_hub's ("Understand caching" in its documentation): below `hub`, a folder
a repository, `models--OWNER--NAME`, with `blobs` (contents), `snapshots/COMMIT` (links to them by
the files' names) and `refs` (what commit a branch or tag is). Beside `hub` this collection keeps
its own record of what was downloaded whole: `inference-fleet/models--OWNER--NAME/COMMIT.json`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import MAIN, is_online, repositories

GB = 10**9
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What vLLM does not read of a repository that has safetensors: the same weights in other formats.
_OTHER_FORMATS = (".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".onnx_data", ".msgpack", ".h5", ".ot", ".tflite")
_SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Wanted:
    """A revision of a repository that models want. weights: whether its weights too, or only
    what describes it (a tokenizer). models: their names."""

    repo: str
    revision: str
    weights: bool
    models: tuple[str, ...]

    def __str__(self) -> str:
        return self.repo if self.revision == MAIN else f"{self.repo}@{self.revision[:12]}"


@dataclass(frozen=True)
class Remote:
    """What a hub says of a revision. files: path -> bytes."""

    commit: str
    files: Mapping[str, int]


@dataclass(frozen=True)
class Record:
    """What was downloaded whole. weights: whether the weights too. files: path -> bytes."""

    weights: bool
    files: Mapping[str, int]


@dataclass(frozen=True)
class Cached:
    """A repository in the cache.

    refs: branch or tag -> commit. snapshots: commit -> path -> (bytes, blob). records: by commit.
    blobs: name -> bytes. other: bytes of downloads that broke off.
    """

    refs: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, Mapping[str, tuple[int, str]]] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    blobs: Mapping[str, int] = field(default_factory=dict)
    other: int = 0

    def commit_of(self, revision: str) -> Optional[str]:
        return revision if _COMMIT.fullmatch(revision) else self.refs.get(revision)

    def snapshot_of(self, revision: str) -> Optional[str]:
        """The commit, if anything at all is there of it."""
        commit = self.commit_of(revision)
        return commit if commit and self.snapshots.get(commit) else None

    def lacks(self, commit: str, files: Mapping[str, int]) -> dict[str, int]:
        """Of these files those that are not there in their size."""
        there = self.snapshots.get(commit, {})
        return {path: size for path, size in files.items() if path not in there or there[path][0] != size}


@dataclass(frozen=True)
class Download:
    """files: all that is wanted of it. missing: those that are not there, path -> bytes."""

    wanted: Wanted
    commit: str
    files: Mapping[str, int]
    missing: Mapping[str, int]

    @property
    def size(self) -> int:
        return sum(self.missing.values())

    def __str__(self) -> str:
        what = f"{len(self.missing)} files, {in_gb(self.size)}" if self.missing else "is there; noted as whole"
        return f"download {self.wanted.repo} at {self.commit[:12]} ({what})"


@dataclass(frozen=True)
class Refusal:
    """Why nothing is known of a revision. may_do: whether what the cache has may do all the same."""

    why: str
    may_do: bool = False


@dataclass(frozen=True)
class Fill:
    """there: what needs no download, with its commit. faults: what cannot be had, and why."""

    downloads: tuple[Download, ...]
    there: Mapping[Wanted, str]
    faults: Mapping[Wanted, str]
    warnings: tuple[str, ...] = ()

    def diff(self) -> dict[str, str]:
        return {"before": "", "after": "".join(f"{download}\n" for download in self.downloads)}


@dataclass(frozen=True)
class Removal:
    """What no model uses. commit: None for the whole repository. blobs: those that go with it."""

    repo: str
    commit: Optional[str]
    size: int
    blobs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.repo}{f' at {self.commit[:12]}' if self.commit else ''} ({in_gb(self.size)})"


def in_gb(size: int) -> str:
    """A size for a person."""
    for unit, name in ((GB, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def folder_name(repo: str) -> str:
    """As huggingface_hub names a repository's folder; a repository of no owner has one part."""
    return "--".join(["models", *repo.split("/")])


def repo_of(folder: str) -> Optional[str]:
    """The reverse of `folder_name`; None for a folder that is no model's."""
    kind, *parts = folder.split("--", 2)
    return "/".join(parts) if kind == "models" and parts else None


def wanted_of(fleet: Fleet, models: Iterable[str], stopped: bool = False, offline: bool = False) -> tuple[Wanted, ...]:
    """What these models want of a hub, each revision once. stopped: whether those count too that do not
    run. offline: those too whose own environment says that nobody is to ask a hub for them."""
    asked = frozenset(models)
    states = ("running", "stopped") if stopped else ("running",)
    found: dict[tuple[str, str], tuple[bool, list[str]]] = {}
    for model in fleet.models:
        looks_after_itself = not offline and not is_online(dict(model.env))
        if model.name not in asked or model.state not in states or looks_after_itself:
            continue
        for one in repositories(model):
            before, names = found.get((one.name, one.revision), (False, []))
            found[one.name, one.revision] = (before or one.weights, [*names, model.name])
    return tuple(
        Wanted(repo, revision, weights, tuple(dict.fromkeys(names)))
        for (repo, revision), (weights, names) in found.items()
    )


def chosen(files: Mapping[str, int], weights: bool) -> dict[str, int]:
    """Of a repository's files those that vLLM reads."""
    has_safetensors = any(path.endswith(_SAFETENSORS) for path in files)
    left_out = (*_OTHER_FORMATS, *(() if weights else (_SAFETENSORS,))) if has_safetensors or not weights else ()
    return {path: size for path, size in files.items() if not path.endswith(left_out) and not path.startswith(".git")}


def whole(wanted: Wanted, cached: Cached) -> Optional[str]:
    """The commit, if all of it is there and was noted to be so."""
    commit = cached.commit_of(wanted.revision)
    record = cached.records.get(commit or "")
    if commit is None or record is None or wanted.weights > record.weights or cached.lacks(commit, record.files):
        return None
    return commit


def plan_download(wanted: Wanted, cached: Cached, remote: Remote) -> Download:
    files = chosen(remote.files, wanted.weights)
    return Download(wanted, remote.commit, files, cached.lacks(remote.commit, files))


def to_ask(wanted: Iterable[Wanted], cache: Mapping[str, Cached], update: bool = False) -> dict[Wanted, str]:
    """What a hub has to be asked about, and for which of its revisions.

    What is there whole is not asked about: a branch stays at the commit that it had when it was
    downloaded, unless update.
    """
    asked = {}
    for one in wanted:
        cached = cache.get(one.repo, Cached())
        if update:
            asked[one] = one.revision
        elif not whole(one, cached):
            asked[one] = cached.snapshot_of(one.revision) or one.revision
    return asked


def plan_fill(
    wanted: Iterable[Wanted], cache: Mapping[str, Cached], answers: Mapping[Wanted, Union[Remote, Refusal]], free: int
) -> Fill:
    """What has to be downloaded. answers: the hub's, for all that `to_ask` has. free: bytes."""
    downloads, there, faults, warnings = [], {}, {}, []
    for one in wanted:
        cached, answer = cache.get(one.repo, Cached()), answers.get(one)
        commit = cached.snapshot_of(one.revision)
        if isinstance(answer, Remote):
            download = plan_download(one, cached, answer)
            if whole(one, cached) == answer.commit and not download.missing:
                there[one] = answer.commit
            else:
                downloads.append(download)
        elif answer is None and commit:
            there[one] = commit
        elif answer and answer.may_do and commit:
            there[one] = commit
            warnings.append(f"{answer.why}; what the cache has of it was taken as it is")
        elif answer:
            faults[one] = answer.why
    faults.update(without_room(downloads, free))
    return Fill(tuple(one for one in downloads if one.wanted not in faults), there, faults, tuple(warnings))


def without_room(downloads: Iterable[Download], free: int) -> dict[Wanted, str]:
    """Those that do not fit, in their order, each with why. free: bytes."""
    faults = {}
    for download in downloads:
        if download.size > free:
            faults[download.wanted] = (
                f"{download.wanted}: {in_gb(download.size)} are to be downloaded, and {in_gb(max(free, 0))} are free "
                "where weights are kept; prune_cache removes what no model uses, fleet_cache.path takes another disk"
            )
        else:
            free -= download.size
    return faults


def plan_prune(wanted: Iterable[Wanted], cache: Mapping[str, Cached]) -> tuple[Removal, ...]:
    """What of the cache none of these uses: whole repositories, and revisions of others. Largest first."""
    used: dict[str, set[str]] = defaultdict(set)
    for one in wanted:
        commit = cache[one.repo].commit_of(one.revision) if one.repo in cache else None
        used[one.repo] |= {commit} if commit else set()
    removals = []
    for repo, cached in cache.items():
        if repo not in used:
            removals.append(Removal(repo, None, sum(cached.blobs.values()) + cached.other))
            continue
        kept = {blob for commit in used[repo] for _size, blob in cached.snapshots.get(commit, {}).values()}
        gone: set[str] = set()
        for commit in sorted(set(cached.snapshots) - used[repo]) if used[repo] else ():
            own = {blob for _size, blob in cached.snapshots[commit].values()} - kept - gone
            gone |= own
            removals.append(Removal(repo, commit, sum(cached.blobs.get(blob, 0) for blob in own), tuple(sorted(own))))
    return tuple(sorted(removals, key=lambda one: (-one.size, str(one))))

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of weights: what models need from a hub, what is cached, and the difference. Pure.

The cache is huggingface_hub's ("Understand caching" in its documentation): below `hub`, one folder per
repository, `models--OWNER--NAME`, with `blobs` (contents), `snapshots/COMMIT` (links to blobs by
file name) and `refs` (the commit of a branch or tag). Beside `hub` this collection keeps
its own record of complete downloads: `inference-fleet/models--OWNER--NAME/COMMIT.json`.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional, Union

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import MAIN, is_online, repositories
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import OMNI_TYPES
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import DEEPEST, LONGEST_NAME

GB = 10**9
COMMIT = re.compile(r"[0-9a-f]{40}")  # the only names of snapshots that count
# The same weights in other formats: vLLM does not read them beside safetensors. In a folder of their own they may be
# other weights.
_OTHER_FORMATS = (".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".onnx_data", ".msgpack", ".h5", ".ot", ".tflite")
_SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Wanted:
    """A revision of a repository that models need. weights: whether with its weights, or only its
    description (a tokenizer). models: names of these models. everything: whether without leaving out any file.
    online: whether all of these models contact the hub themselves."""

    repo: str
    revision: str
    weights: bool
    models: tuple[str, ...]
    everything: bool = False
    online: bool = False

    def __str__(self) -> str:
        return self.repo if self.revision == MAIN else f"{self.repo}@{self.revision[:12]}"


@dataclass(frozen=True)
class Remote:
    """A hub's answer about a revision. files: path -> bytes."""

    commit: str
    files: Mapping[str, int]


@dataclass(frozen=True)
class Record:
    """A complete download. weights, everything: as in Wanted. files: path -> bytes."""

    weights: bool
    files: Mapping[str, int]
    everything: bool = False


@dataclass(frozen=True)
class Cached:
    """A repository in the cache.

    refs: branch or tag -> commit. snapshots: commit -> path -> (bytes, blob, or empty for a copy). records: by commit.
    blobs: name -> bytes. other: bytes of incomplete downloads. listings: commit -> the paths of all its files,
    where huggingface_hub has stored them (`trees/COMMIT.json`, from 1.22 on).
    """

    refs: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, Mapping[str, tuple[int, str]]] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    blobs: Mapping[str, int] = field(default_factory=dict)
    other: int = 0
    listings: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def commit_of(self, revision: str) -> Optional[str]:
        return revision if COMMIT.fullmatch(revision) else self.refs.get(revision)

    def snapshot_of(self, revision: str) -> Optional[str]:
        """The commit, if any of its files is cached."""
        commit = self.commit_of(revision)
        return commit if commit and self.snapshots.get(commit) else None

    def lacks(self, commit: str, files: Mapping[str, int]) -> dict[str, int]:
        """Those of `files` that are missing or have another size."""
        there = self.snapshots.get(commit, {})
        return {path: size for path, size in files.items() if path not in there or there[path][0] != size}

    def is_refused(self, commit: str) -> bool:
        """Whether huggingface_hub would refuse the commit offline: its listing has files that are not cached."""
        return not self.listings.get(commit, frozenset()) <= self.snapshots.get(commit, {}).keys()


@dataclass(frozen=True)
class Download:
    """files: all wanted files. missing: those that are not cached. Both: path -> bytes."""

    wanted: Wanted
    commit: str
    files: Mapping[str, int]
    missing: Mapping[str, int]

    @property
    def size(self) -> int:
        return sum(self.missing.values())

    @property
    def pinned(self) -> Wanted:
        """What is wanted, at the commit that is downloaded."""
        return replace(self.wanted, revision=self.commit)

    def __str__(self) -> str:
        what = (
            f"{len(self.missing)} files, {in_gb(self.size)}" if self.missing else "complete; only its record is missing"
        )
        return f"download {self.wanted.repo} at {self.commit[:12]} ({what})"


@dataclass(frozen=True)
class Refusal:
    """Why the hub's answer about a revision is missing. may_do: whether the cached files may be used instead."""

    why: str
    may_do: bool = False


@dataclass(frozen=True)
class Listing:
    """A listing because of which huggingface_hub refuses a complete download: it has the files that were left out."""

    repo: str
    commit: str

    def __str__(self) -> str:
        return f"the hub client's list of all files of {self.repo} at {self.commit[:12]}"


@dataclass(frozen=True)
class Fill:
    """there: what needs no download -> its commit. faults: what cannot be downloaded -> why."""

    downloads: tuple[Download, ...]
    there: Mapping[Wanted, str]
    faults: Mapping[Wanted, str]
    warnings: tuple[str, ...] = ()
    listings: tuple[Listing, ...] = ()

    def diff(self) -> dict[str, str]:
        before = "".join(f"{listing}\n" for listing in self.listings)
        return {"before": before, "after": "".join(f"{download}\n" for download in self.downloads)}


@dataclass(frozen=True)
class Removal:
    """What no model uses. commit: None for the whole repository. blobs: names of blobs to remove."""

    repo: str
    commit: Optional[str]
    size: int
    blobs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.repo}{f' at {self.commit[:12]}' if self.commit else ''} ({in_gb(self.size)})"


def in_gb(size: int) -> str:
    """A size for display."""
    for unit, name in ((GB, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def folder_name(repo: str) -> str:
    """huggingface_hub's name of a repository's folder; a repository without an owner has one part."""
    return "--".join(["models", *repo.split("/")])


def repo_of(folder: str) -> Optional[str]:
    """The inverse of `folder_name`; None for a folder that belongs to no model."""
    kind, *parts = folder.split("--", 2)
    named = parts and all(re.fullmatch(r"[\w.-]+", part) for part in parts)
    return "/".join(parts) if kind == "models" and named else None


def is_plain(path: str) -> bool:
    """Whether a hub's path of a file can be a path below a snapshot, and an argument of `hf download`."""
    parts = path.split("/")
    is_text = path.isprintable() and not path.startswith("-") and not {"", ".", ".."} & {*parts}
    return is_text and len(parts) <= DEEPEST and all(len(part.encode()) <= LONGEST_NAME for part in parts)


def wanted_of(fleet: Fleet, models: Iterable[str], stopped: bool = False, offline: bool = False) -> tuple[Wanted, ...]:
    """What these models need from a hub, each revision once. stopped: include stopped models. offline:
    include models whose own environment forbids access to a hub."""
    asked = frozenset(models)
    states = ("running", "stopped") if stopped else ("running",)
    found: dict[tuple[str, str], Wanted] = {}
    for model in fleet.models:
        excluded = not offline and not is_online(dict(model.env))
        if model.name not in asked or model.state not in states or excluded:
            continue
        online = is_online({"HF_HUB_OFFLINE": "1", **dict(model.env)})
        for one in repositories(model):
            before = found.get((one.name, one.revision), Wanted(one.name, one.revision, False, (), online=True))
            found[one.name, one.revision] = replace(
                before,
                weights=before.weights or one.weights,
                models=tuple(dict.fromkeys((*before.models, model.name))),
                # Models of vLLM-Omni load files of several formats that lie beside each other.
                everything=before.everything or model.type in OMNI_TYPES,
                online=before.online and online,
            )
    return tuple(found.values())


def chosen(files: Mapping[str, int], weights: bool, everything: bool = False) -> dict[str, int]:
    """The files of a repository that a model may read."""
    if everything:
        return dict(files)
    folders = {posixpath.dirname(path) for path in files if path.endswith(_SAFETENSORS)}

    def is_read(path: str) -> bool:
        if path.startswith(".git") or (not weights and path.endswith(_SAFETENSORS)):
            return False
        return not path.endswith(_OTHER_FORMATS) or (weights and posixpath.dirname(path) not in folders)

    return {path: size for path, size in files.items() if is_read(path)}


def whole(wanted: Wanted, cached: Cached) -> Optional[str]:
    """The commit, if all of its files are cached and recorded as complete."""
    commit = cached.commit_of(wanted.revision)
    record = cached.records.get(commit or "")
    if commit is None or record is None or cached.lacks(commit, record.files):
        return None
    if wanted.weights > record.weights or wanted.everything > record.everything:
        return None
    return commit


def plan_download(wanted: Wanted, cached: Cached, remote: Remote) -> Download:
    files = chosen(remote.files, wanted.weights, wanted.everything)
    return Download(wanted, remote.commit, files, cached.lacks(remote.commit, files))


def to_ask(wanted: Iterable[Wanted], cache: Mapping[str, Cached], update: bool = False) -> dict[Wanted, str]:
    """What to ask a hub about -> the revision to ask for.

    Complete downloads are left out: a branch stays at the commit of its download, unless `update`.
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
    """What to download. answers: the hub's, for all of `to_ask`. free: bytes."""
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
            warnings.append(f"{answer.why}; the cached files are used as they are")
        elif answer:
            faults[one] = answer.why
    faults.update(without_room(downloads, free))
    listings = (
        Listing(one.repo, commit)
        for one, commit in there.items()
        if not one.online and whole(one, cache[one.repo]) == commit and cache[one.repo].is_refused(commit)
    )
    return Fill(
        tuple(one for one in downloads if one.wanted not in faults),
        there,
        faults,
        tuple(warnings),
        tuple(dict.fromkeys(listings)),
    )


def without_room(downloads: Iterable[Download], free: int) -> dict[Wanted, str]:
    """Downloads that do not fit, in order -> the fault. free: bytes."""
    faults = {}
    for download in downloads:
        if download.size > free:
            faults[download.wanted] = (
                f"{download.wanted}: {in_gb(download.size)} are to be downloaded, and {in_gb(max(free, 0))} are free "
                "where weights are kept; prune_cache removes what no model uses, fleet_cache.path sets another disk"
            )
        else:
            free -= download.size
    return faults


def plan_prune(wanted: Iterable[Wanted], cache: Mapping[str, Cached]) -> tuple[Removal, ...]:
    """The unused parts of the cache: whole repositories, and revisions of others. Largest first."""
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
            own = {blob for _size, blob in cached.snapshots[commit].values() if blob} - kept - gone
            gone |= own
            removals.append(Removal(repo, commit, sum(cached.blobs.get(blob, 0) for blob in own), tuple(sorted(own))))
    return tuple(sorted(removals, key=lambda one: (-one.size, str(one))))

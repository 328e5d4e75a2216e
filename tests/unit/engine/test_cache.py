"""What models need from a hub, what is cached, what is downloaded and what is removed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import (
    Cached,
    Download,
    Fill,
    Listing,
    Record,
    Refusal,
    Remote,
    Wanted,
    chosen,
    folder_name,
    in_gb,
    plan_fill,
    plan_prune,
    repo_of,
    to_ask,
    wanted_of,
    whole,
)
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet
from hypothesis import given
from hypothesis import strategies as st

GB = 10**9
A, B = "a" * 40, "b" * 40
QWEN = Wanted("Qwen/Qwen3-8B", "main", True, ("qwen3-8b",))
FILES = {"config.json": 100, "model.safetensors": 5 * GB}


def cached(
    commit: str = A, files: Any = FILES, recorded: bool = True, weights: bool = True, ref: str = "main"
) -> Cached:
    """A repository that has this commit, and `ref` standing for it."""
    return Cached(
        refs={ref: commit},
        snapshots={commit: {path: (size, f"blob-{path}-{commit[:1]}") for path, size in files.items()}},
        records={commit: Record(weights, dict(FILES))} if recorded else {},
        blobs={f"blob-{path}-{commit[:1]}": size for path, size in files.items()},
    )


def wanted(*entries: Any, **more: Any) -> list[tuple[str, str, bool, tuple[str, ...]]]:
    one = fleet(*entries)
    found = wanted_of(one, [model.name for model in one.models], **more)
    return [(each.repo, each.revision, each.weights, each.models) for each in found]


def fill(cache: dict[str, Cached], answer: Remote | Refusal | None = None, free: int = 100 * GB) -> Fill:
    return plan_fill([QWEN], cache, {} if answer is None else {QWEN: answer}, free)


# What is wanted


def test_running_models_want_their_source_and_local_ones_nothing() -> None:
    assert wanted(
        entry(name="a"),
        entry(name="b", args={"revision": A}),
        entry(name="c", source="/srv/c"),
        entry(name="d", state="absent"),
        entry(name="e", source="own/e", state="stopped"),
    ) == [("Qwen/Qwen3-8B", "main", True, ("a",)), ("Qwen/Qwen3-8B", A, True, ("b",))]
    assert wanted(entry(name="e", source="own/e", state="stopped"), stopped=True) == [("own/e", "main", True, ("e",))]


def test_what_several_models_want_is_wanted_once_with_weights_if_one_wants_those() -> None:
    tokenizer = entry(name="b", source="/srv/b", args={"tokenizer": "Qwen/Qwen3-8B"})
    assert wanted(tokenizer, entry(name="a")) == [("Qwen/Qwen3-8B", "main", True, ("b", "a"))]
    assert wanted(tokenizer) == [("Qwen/Qwen3-8B", "main", False, ("b",))]


def test_tokenizers_configurations_and_draft_models_are_wanted_too() -> None:
    args = {
        "tokenizer": "own/tokenizer",
        "tokenizer-revision": "v1",
        "hf-config-path": "own/config",
        "speculative-config": {"model": "own/draft", "num_speculative_tokens": 3},
    }
    assert wanted(entry(name="a", source="/srv/a", args=args)) == [
        ("own/tokenizer", "v1", False, ("a",)),
        ("own/config", "main", False, ("a",)),
        ("own/draft", "main", True, ("a",)),
    ]
    local = {"tokenizer": "/srv/tokenizer", "speculative-config": {"method": "ngram"}}
    assert wanted(entry(name="a", source="/srv/a", args=local)) == []


def test_a_model_whose_environment_says_offline_is_left_to_its_owner_and_keeps_what_it_has() -> None:
    own = entry(name="a", env={"HF_HUB_OFFLINE": 1})
    assert wanted(own) == []
    assert wanted(own, offline=True) == [("Qwen/Qwen3-8B", "main", True, ("a",))]


@pytest.mark.parametrize(
    ("files", "weights", "taken"),
    [
        (
            ["model.safetensors", "pytorch_model.bin", "original/consolidated.00.pth", "q4.gguf", "config.json"],
            True,
            [0, 2, 4],
        ),
        (["a/model.safetensors", "a/model.bin", "a/b/model.bin", "model.bin", "a.bin"], True, [0, 2, 3, 4]),
        (["vocoder/generator.pth", "model.safetensors", "flow.pt", "speech.onnx"], True, [0, 1]),
        (["a/model.safetensors", "b/model.bin", "config.json"], False, [2]),
        (["pytorch_model.bin", "config.json"], True, [0, 1]),
        (["pytorch_model.bin", "config.json"], False, [1]),
        (["model.safetensors", "tokenizer.json"], False, [1]),
        (["vae/model.safetensors", "transformer/model.safetensors", ".gitattributes"], True, [0, 1]),
    ],
)
def test_takes_what_vllm_reads_and_no_second_copy_of_the_weights(
    files: list[str], weights: bool, taken: list[int]
) -> None:
    assert list(chosen(dict.fromkeys(files, 1), weights)) == [files[index] for index in taken]


SPEECH = (".gitattributes", "llm.safetensors", "flow.pt", "campplus.onnx", "sub/llm.safetensors", "sub/a.pth")


@pytest.mark.parametrize("weights", [True, False])
def test_a_model_of_vllm_omni_gets_every_file(weights: bool) -> None:
    files = dict.fromkeys(SPEECH, 1)
    assert chosen(files, weights, everything=True) == files


@pytest.mark.parametrize(("kind", "everything"), [("tts", True), ("image", True), ("stt", False), ("chat", False)])
def test_speech_and_image_models_want_everything_also_where_others_want_the_same(kind: str, everything: bool) -> None:
    one = fleet(entry(name="a"), entry(name="b", type=kind, args={"tokenizer": "own/tokenizer"}))
    assert [each.everything for each in wanted_of(one, ["a", "b"])] == [everything] * 2
    assert [each.everything for each in wanted_of(one, ["a"])] == [False]


def test_what_was_downloaded_without_some_files_is_downloaded_again_for_a_model_that_wants_all() -> None:
    every = replace(QWEN, everything=True)
    there = cached()
    assert whole(every, there) is None
    assert to_ask([every], {QWEN.repo: there}) == {every: A}
    (download,) = plan_fill([every], {QWEN.repo: there}, {every: Remote(A, {**FILES, "flow.pt": 7})}, GB).downloads
    assert download.missing == {"flow.pt": 7}
    complete = replace(there, records={A: Record(True, FILES, everything=True)})
    assert (whole(every, complete), whole(QWEN, complete)) == (A, A)


# What huggingface_hub would refuse offline


def test_a_listing_with_files_that_were_left_out_is_removed() -> None:
    listed = replace(cached(), listings={A: frozenset((*FILES, "pytorch_model.bin"))})
    plan = fill({QWEN.repo: listed})
    assert plan.listings == (Listing(QWEN.repo, A),)
    assert plan.diff()["before"] == f"the hub client's list of all files of Qwen/Qwen3-8B at {A[:12]}\n"
    assert plan.downloads == ()


@pytest.mark.parametrize(
    "kept",
    [
        replace(cached(), listings={A: frozenset(FILES)}),  # nothing was left out
        replace(cached(), listings={B: frozenset(("other",))}),  # of a commit that no model uses
        replace(cached(recorded=False), listings={A: frozenset((*FILES, "other"))}),  # nobody knows whether it is whole
    ],
)
def test_other_listings_are_kept(kept: Cached) -> None:
    unreachable = Refusal("the hub cannot be reached", may_do=True)
    assert fill({QWEN.repo: kept}, unreachable if not kept.records else None).listings == ()


def test_the_listing_of_models_that_contact_the_hub_is_kept() -> None:
    """Such a model writes it again at its next start."""
    listed = {QWEN.repo: replace(cached(), listings={A: frozenset((*FILES, "pytorch_model.bin"))})}
    online = entry(name="a", env={"HF_HUB_OFFLINE": 0})
    for models, removed in (([online], 0), ([online, entry(name="b")], 1), ([entry(name="b")], 1)):
        one = fleet(*models)
        plan = plan_fill(wanted_of(one, [model.name for model in one.models]), listed, {}, GB)
        assert len(plan.listings) == removed


# What a hub is asked


def test_what_is_there_whole_is_not_asked_about() -> None:
    cache = {QWEN.repo: cached()}
    assert whole(QWEN, cache[QWEN.repo]) == A
    assert to_ask([QWEN], cache) == {}
    assert to_ask([QWEN], cache, update=True) == {QWEN: "main"}
    assert fill(cache) == Fill((), {QWEN: A}, {})


@pytest.mark.parametrize(
    "lacking",
    [
        cached(recorded=False),
        cached(files={"config.json": 100}),
        cached(files={**FILES, "config.json": 99}),
        cached(weights=False),
    ],
)
def test_what_is_there_in_part_or_not_noted_is_asked_about_at_its_commit(lacking: Cached) -> None:
    assert to_ask([QWEN], {QWEN.repo: lacking}) == {QWEN: A}


def test_what_is_not_there_is_asked_about_by_its_branch() -> None:
    assert to_ask([QWEN], {}) == {QWEN: "main"}
    assert to_ask([QWEN], {QWEN.repo: Cached(refs={"main": A})}) == {QWEN: "main"}, "a ref alone is nothing"
    assert whole(QWEN, cached(ref="v1")) is None


# What is downloaded


def test_downloads_what_is_missing_of_a_revision() -> None:
    (download,) = fill({QWEN.repo: cached(files={"config.json": 100})}, Remote(A, FILES)).downloads
    assert (download.commit, download.missing, download.size) == (A, {"model.safetensors": 5 * GB}, 5 * GB)
    assert str(download) == f"download Qwen/Qwen3-8B at {A[:12]} (1 files, 5.0 GB)"


def test_what_was_there_before_it_was_noted_is_noted_and_not_downloaded() -> None:
    (download,) = fill({QWEN.repo: cached(recorded=False)}, Remote(A, FILES)).downloads
    assert download.missing == {}
    assert str(download) == f"download Qwen/Qwen3-8B at {A[:12]} (complete; only its record is missing)"


def test_a_branch_that_did_not_move_needs_nothing_and_one_that_did_a_download() -> None:
    cache = {QWEN.repo: cached()}
    assert fill(cache, Remote(A, FILES)).downloads == ()
    assert [download.commit for download in fill(cache, Remote(B, FILES)).downloads] == [B]


def test_a_hub_that_cannot_be_reached_is_a_warning_where_something_is_there_and_else_a_fault() -> None:
    refusal = Refusal("the hub cannot be reached", may_do=True)
    there = fill({QWEN.repo: cached(recorded=False)}, refusal)
    assert (there.there, there.faults) == ({QWEN: A}, {})
    assert there.warnings == ("the hub cannot be reached; the cached files are used as they are",)
    assert fill({}, refusal).faults == {QWEN: "the hub cannot be reached"}
    assert fill({QWEN.repo: cached(recorded=False)}, Refusal("it is gated")).faults == {QWEN: "it is gated"}


def test_no_room_is_reported_before_and_what_fits_is_downloaded() -> None:
    other = Wanted("own/small", "main", True, ("small",))
    plan = plan_fill([QWEN, other], {}, {QWEN: Remote(A, FILES), other: Remote(B, {"a": GB})}, free=4 * GB)
    assert [download.wanted for download in plan.downloads] == [other]
    assert plan.faults == {
        QWEN: "Qwen/Qwen3-8B: 5.0 GB are to be downloaded, and 4.0 GB are free where weights are kept; "
        "prune_cache removes what no model uses, fleet_cache.path sets another disk"
    }


def test_room_is_counted_for_all_downloads_together() -> None:
    other = Wanted("own/other", "main", True, ("other",))
    plan = plan_fill([QWEN, other], {}, {QWEN: Remote(A, FILES), other: Remote(B, FILES)}, free=8 * GB)
    assert [download.wanted for download in plan.downloads] == [QWEN]
    assert "own/other: 5.0 GB are to be downloaded, and 3.0 GB are free" in plan.faults[other]


# What is removed


def test_removes_repositories_and_revisions_that_no_model_uses_largest_first() -> None:
    old = cached(B, {"model.safetensors": GB})
    both = Cached(
        refs={"main": A},
        snapshots={**cached().snapshots, B: {**old.snapshots[B], "config.json": (100, "blob-config.json-a")}},
        blobs={**cached().blobs, **old.blobs},
    )
    removals = plan_prune([QWEN], {QWEN.repo: both, "own/other": cached(), "own/parts": Cached(other=2 * GB)})
    assert [str(one) for one in removals] == [
        "own/other (5.0 GB)",
        "own/parts (2.0 GB)",
        f"Qwen/Qwen3-8B at {B[:12]} (1.0 GB)",
    ]
    assert removals[-1].blobs == ("blob-model.safetensors-b",), "what the other revision has too stays"


def test_an_adapter_that_no_model_has_any_more_is_removed() -> None:
    cache = {QWEN.repo: cached(), "own/sql": cached()}
    with_it, without = fleet(entry(adapters={"sql": "own/sql"}, state="stopped")), fleet(entry())
    assert plan_prune(wanted_of(with_it, ["qwen3-8b"], stopped=True), cache) == ()
    assert [one.repo for one in plan_prune(wanted_of(without, ["qwen3-8b"], stopped=True), cache)] == ["own/sql"]


def test_what_is_used_stays_also_where_its_commit_is_not_known() -> None:
    assert plan_prune([QWEN], {QWEN.repo: cached(ref="v1")}) == ()
    assert plan_prune([QWEN], {}) == ()


# Names and sizes


@given(st.from_regex(r"[\w.]+(-[\w.]+)*(/[\w.]+([-][\w.]+)*)?", fullmatch=True))
def test_a_repositorys_folder_is_named_as_the_hubs_client_does(repo: str) -> None:
    assert repo_of(folder_name(repo)) == repo


def test_folders_of_other_things_are_no_repository() -> None:
    assert [repo_of(name) for name in ("datasets--own--a", ".locks", "models", "version.txt")] == [None] * 4


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2 * 10**6, "2.0 MB"), (16 * GB, "16.0 GB")],
)
def test_a_size_is_reported_in_the_unit_that_fits(size: int, text: str) -> None:
    assert in_gb(size) == text


def test_a_revision_is_named_where_it_is_not_the_main_one() -> None:
    assert str(QWEN) == "Qwen/Qwen3-8B"
    assert str(Wanted("own/a", A, True, ())) == f"own/a@{A[:12]}"
    assert isinstance(hash(QWEN), int) and Download(QWEN, A, {}, {}).size == 0

"""Which recipe images are built, with what content, and which are removed."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import (
    Base,
    Build,
    Built,
    Observed,
    Plan,
    build_fault,
    dockerfile,
    needed_recipes,
    plan_recipes,
    select_recipes,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import Recipe
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults, fleet
from hypothesis import given
from hypothesis import strategies as st

STANDARD = Images().vllm
BASE = {STANDARD: Base("sha256:base")}
OWN = {"own": {"apt": ["ffmpeg"]}}
WHEELS = {"own": {"a-1-py3-none-any.whl": "f00d"}}


def plan(
    recipes: Any = None, *built: Built, bases: Any = None, wheels: Any = None, missing: Any = None, keep: Any = None
) -> Plan:
    """For the recipe `own`."""
    observed = Observed(BASE if bases is None else bases, built, wheels or {}, missing or {})
    return plan_recipes(fleet(recipes=recipes or OWN), ["own"], observed, keep)


def built(recipes: Any = None, **more: Any) -> Built:
    """The image that Docker has once it was built."""
    (build,) = plan(recipes, **more).builds
    return Built("sha256:1", (build.image,), build.recipe, build.content, build.dockerfile)


# What is built


def test_what_is_missing_is_built_with_labels_that_tell_what_it_was_made_of() -> None:
    (build,) = plan().builds
    assert build.reason == "missing"
    assert re.fullmatch(r"inference-fleet/recipe-own:[0-9a-f]{12}", build.image)
    assert build.labels == {
        "inference-fleet.recipe": "own",
        "inference-fleet.recipe-content": build.content,
        "inference-fleet.recipe-dockerfile": build.dockerfile,
    }
    assert not any(name in ("managed-by", "model-name", "service") for name in build.labels), "containers inherit these"


def test_what_is_as_it_should_be_is_not_built_again() -> None:
    assert plan(None, built()) == Plan()


@pytest.mark.parametrize(
    ("recipes", "observed", "reason"),
    [
        ({"own": {"apt": ["sox"]}}, {}, "the recipe changed"),
        ({"own": {"apt": ["ffmpeg"], "base": "own/base:1"}}, {"bases": {"own/base:1": Base("sha256:b")}}, "the recipe"),
        (OWN, {"bases": {STANDARD: Base("sha256:new")}}, "its base image, files or wheels changed"),
        (OWN, {"bases": {STANDARD: Base("sha256:base", "vllm")}}, "its Dockerfile changed"),
    ],
)
def test_is_built_again_when_what_goes_into_it_changed(recipes: Any, observed: Any, reason: str) -> None:
    (build,) = plan(recipes, built(), **observed).builds
    assert build.reason.startswith(reason)
    assert build.before == built().dockerfile


def test_other_wheels_are_another_image_under_the_same_name() -> None:
    recipes = {"own": {"pip": ["a"], "wheelhouse": "/srv/wheels"}}
    before = built(recipes, wheels=WHEELS)
    assert plan(recipes, before, wheels=WHEELS) == Plan()
    (build,) = plan(recipes, before, wheels={"own": {"a-1-py3-none-any.whl": "beef"}}).builds
    assert (build.image,) == before.tags
    assert build.content != before.content


def test_a_base_that_is_gone_is_pulled_only_where_something_has_to_be_built() -> None:
    assert plan(bases={}).pulls == (STANDARD,)
    assert plan(None, built(), bases={}) == Plan(), "what was built of it does all the same"


@pytest.mark.parametrize(("wheels", "why"), [({}, "is not a folder on this host"), ({"own": {}}, "has no wheels")])
def test_wheels_that_are_missing_are_reported_where_they_are_needed(wheels: Any, why: str) -> None:
    recipes = {"own": {"pip": ["a"], "wheelhouse": "/srv/wheels"}}
    assert plan(recipes, wheels=wheels).faults["own"].startswith(f"fleet_recipes.own.wheelhouse: /srv/wheels {why}")
    if not wheels:
        assert plan(recipes, built(recipes, wheels=WHEELS)) == Plan()


def test_wheels_of_a_folder_that_is_not_on_the_admins_machine_do_not_count() -> None:
    """The wheels copied from the recipe's previous folder are still on the host."""
    recipes = {"own": {"pip": ["a"], "wheelhouse": "weels"}}
    away = {"wheels": WHEELS, "missing": {"own": "/home/ann/fleet/weels"}}
    reported = (
        "fleet_recipes.own.wheelhouse: /home/ann/fleet/weels is not a folder on the machine that Ansible runs on ("
    )
    assert plan(recipes, **away).faults["own"].startswith(reported)
    assert plan(recipes, built(recipes, wheels=WHEELS), **away) == Plan(), "what was built of it does all the same"


def test_the_diff_is_that_of_the_dockerfiles() -> None:
    (diff,) = plan({"own": {"apt": ["sox"]}}, built()).diff()
    assert "--no-install-recommends ffmpeg " in diff["before"]
    assert "--no-install-recommends sox " in diff["after"]


# Which recipes


def test_models_need_the_recipes_whose_images_they_run() -> None:
    one = fleet(
        entry(name="a", recipe="whisper"),
        entry(name="b", recipe="whisper", state="stopped"),
        entry(name="c", recipe="voxtral", image="own/image:1"),
        entry(name="d", recipe="voxtral", state="absent"),
        entry(name="e", recipe="gemma3n"),
        entry(name="f"),
    )
    assert needed_recipes(one, ["a", "b", "c", "d", "f"]) == ("whisper",)


def test_a_recipe_that_there_is_not_is_reported_with_those_that_there_are() -> None:
    assert select_recipes(fleet(recipes=OWN), ["own", "whisper"]) == ("own", "whisper")
    assert faults(select_recipes, fleet(recipes=OWN), ["whispr"]) == [
        "recipe: 'whispr' is neither in fleet_recipes nor one of the collection's own; did you mean 'whisper'? "
        "(there are gemma3n, own, voxtral, whisper)"
    ]


# What is removed


def test_removes_what_nothing_asks_for_and_no_container_has() -> None:
    old = Built("sha256:2", ("inference-fleet/recipe-old:1",), "old", "x", size=3 * 10**9)
    untagged = Built("sha256:3", (), "own", "x")
    in_use = Built("sha256:4", ("inference-fleet/recipe-old:2",), "old", "x", used_by=("vllm-a-1",))
    found = plan(None, built(), old, untagged, in_use, keep=["own"]).removals
    assert [(one.id, str(one)) for one in found] == [
        ("sha256:2", "remove inference-fleet/recipe-old:1 (3.0 GB)"),
        ("sha256:3", "remove an older build of recipe own (0.0 GB)"),
    ]
    assert plan(None, built(), old, untagged).removals == ()


# The Dockerfile


def test_a_dockerfile_installs_packages_then_adds_files() -> None:
    text = dockerfile(Recipe("vllm", apt=("sox", "ffmpeg"), pip=("b>=1", "a[x]"), files={"/etc/a": ""}), STANDARD)
    lines = text.splitlines()
    assert [line.split()[0] for line in lines] == ["FROM", "RUN", "RUN", "COPY"]
    assert lines[1].endswith("--no-install-recommends ffmpeg sox && rm -rf /var/lib/apt/lists/*")
    assert " 'a[x]' 'b>=1'; else " in lines[2]
    assert lines[3] == 'COPY ["files/0", "/etc/a"]'


def test_without_a_way_out_packages_come_from_where_the_recipe_says() -> None:
    recipe = Recipe(
        "vllm", apt=("sox",), pip=("a",), wheelhouse="/srv/w", apt_mirror=("deb http://m.example/d bookworm main",)
    )
    text = dockerfile(recipe, STANDARD)
    assert text.count("-o Dir::Etc::sourcelist=/etc/apt/inference-fleet.list -o Dir::Etc::sourceparts=-") == 2
    assert text.count("--no-index --find-links /tmp/inference-fleet-wheels") == 2, "of uv and of pip"
    assert "--index-url https://m.example/simple" in dockerfile(
        Recipe("vllm", pip=("a",), pip_index="https://m.example/simple"), STANDARD
    )


def test_the_sites_own_authority_is_trusted_before_anything_is_fetched() -> None:
    lines = dockerfile(Recipe("vllm", apt=("sox",), pip=("a",), ca_bundle="PEM"), STANDARD).splitlines()
    assert lines[1] == "COPY ca.crt /usr/local/share/ca-certificates/inference-fleet-recipe.crt"
    assert "PIP_CERT=/etc/ssl/certs/ca-certificates.crt" in lines[-1]


def test_an_image_goes_on_running_as_whom_its_base_does() -> None:
    lines = dockerfile(Recipe("vllm", apt=("sox",)), STANDARD, "vllm").splitlines()
    assert (lines[1], lines[-1]) == ("USER root", "USER vllm")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_a_requirement_stays_one_word_for_the_shell(requirement: str) -> None:
    text = dockerfile(Recipe("vllm", pip=(requirement,)), STANDARD)
    assert text.count("\n") == 2
    assert requirement in shlex.split(text.splitlines()[1].partition("--no-cache ")[2].partition("; else ")[0] or "''")


# Why a build failed


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("E: Unable to locate package ffmpg", "apt knows no package ffmpg"),
        ("E: Package 'sox' has no installation candidate", "apt has no package sox to install"),
        ("ERROR: No matching distribution found for vlm", "pip finds no vlm that fits the image's Python"),
        ("  x Because vlm was not found in the package registry and", "pip finds no vlm"),
        ("/usr/bin/python3: No module named pip", "the base has neither uv nor pip: add python3-pip"),
        ("write /x: no space left on device", "the disk is full: `docker system df` shows"),
        ("Temporary failure resolving 'deb.debian.org'", "the package source cannot be reached from here"),
        ("make: *** Error 2", "the builder's own error"),
    ],
)
def test_a_failure_is_reported_with_its_reason_and_the_end_of_the_log(log: str, why: str) -> None:
    (build,) = plan().builds
    message = build_fault(build, "Step 2/3 : RUN x", "the builder's own error", ["first", " ---> 0123", log])
    assert message.startswith(f"fleet_recipes.own: building {build.image} failed at Step 2/3 : RUN x: {why}")
    assert message.endswith(f"the end of the build's log:\n    first\n    {log}")


def test_an_action_says_what_and_why() -> None:
    build: Build = replace(plan().builds[0], image="inference-fleet/recipe-own:1")
    assert str(build) == "build inference-fleet/recipe-own:1 (missing)"

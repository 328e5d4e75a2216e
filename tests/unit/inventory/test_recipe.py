"""Valid recipes: packages and files, and no secret that a layer would contain."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import plain
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import SHIPPED, Recipe
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, faults
from hypothesis import given
from hypothesis import strategies as st

PASSWORD = "geheim0123"
LAYER = "anyone with the image could read it in the layers and the history"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n"
WHOLE: dict[str, Any] = {
    "base": "site/vllm:1",
    "apt": ["ffmpeg", "libsox3=14.4.2+git20190427-3", "libc6:amd64"],
    "pip": ["vllm[audio]", "timm>=1.0.17", "own @ https://files.example/own-1-py3-none-any.whl"],
    "files": {"/etc/own.conf": "a: 1\n"},
    "env": {"OWN_LEVEL": 3},
    "ca_bundle": CERTIFICATE,
    "pip_index": "https://mirror.example/simple",
    "apt_mirror": ["deb [trusted=yes] http://mirror.example/debian bookworm main contrib"],
}


def recipe_faults(**changes: Any) -> list[str]:
    return faults(Recipe.parse, changes, "fleet_recipes.own")


def test_a_recipe_is_all_that_the_inventory_says_of_it() -> None:
    recipe = Recipe.parse(WHOLE, "fleet_recipes.own")
    assert {**plain(recipe), "env": {"OWN_LEVEL": 3}} == WHOLE
    assert Recipe.parse(plain(recipe), "fleet_recipes.own") == recipe


def test_nothing_but_packages_is_needed() -> None:
    assert Recipe.parse({"apt": ["ffmpeg"]}, "fleet_recipes.own") == Recipe("vllm", apt=("ffmpeg",))


@pytest.mark.parametrize("base", [part.name for part in fields(Images)])
def test_its_base_is_one_of_the_fleets_images_or_any_other(base: str) -> None:
    assert Recipe(base).base_image(Images(**{base: "own/image:1"})) == "own/image:1"
    assert Recipe("own/other:2").base_image(Images(**{base: "own/image:1"})) == "own/other:2"


@pytest.mark.parametrize("changes", [{name: WHOLE[name]} for name in WHOLE if name != "base"])
def test_each_part_of_it_is_in_the_images_tag(changes: dict[str, Any]) -> None:
    base = {"apt": ["sox"], "pip": ["a"]}
    assert Recipe.parse({**base, **changes}, "").image("own", Images()) != Recipe.parse(base, "").image("own", Images())


def test_wheels_of_the_admins_machine_have_a_folder_of_their_own_on_the_host() -> None:
    assert Recipe("vllm").wheels_on_host("own") is None
    assert Recipe("vllm", wheelhouse="/srv/wheels").wheels_on_host("own") == "/srv/wheels"
    assert Recipe("vllm", wheelhouse="wheels/own").wheels_on_host("own") == "/var/lib/inference-fleet/wheels/own"


@pytest.mark.parametrize("folder", ["wheels/own", "./wheels", "wheels/v1..2", "..wheels/a..", "/srv/wheels/"])
def test_wheels_are_in_any_folder_that_is_not_above_the_inventory(folder: str) -> None:
    assert Recipe.parse({"pip": ["a"], "wheelhouse": folder}, "").wheelhouse == folder


@pytest.mark.parametrize("name", SHIPPED)
def test_the_collections_own_would_be_taken_from_an_inventory(name: str) -> None:
    assert Recipe.parse(plain(SHIPPED[name]), f"fleet_recipes.{name}") == SHIPPED[name]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"apt": ["ffmpeg; reboot"]}, "apt[0]: expected the name of a Debian package"),
        ({"apt": ["--reinstall"]}, "apt[0]: expected the name of a Debian package"),
        ({"apt": "ffmpeg"}, "apt: expected a list, got 'ffmpeg'"),
        ({"pip": ["--pre"]}, "pip[0]: expected a requirement, got the option '--pre'; see wheelhouse and pip_index"),
        ({"pip": ["a\nb"]}, "pip[0]: expected a requirement as pip takes it"),
        (
            {"pip": ["a"], "pip_index": "mirror.example"},
            "pip_index: expected the URL of a package index, got 'mirror.example'",
        ),
        ({"apt": ["sox"], "apt_mirror": ["http://mirror.example"]}, "apt_mirror[0]: expected a line of sources.list"),
        ({"files": {"etc/own": "a"}}, "files: expected absolute paths of files, got 'etc/own'"),
        ({"files": {"/etc/": "a"}}, "files: expected absolute paths of files, got '/etc/'"),
        ({"files": {"/etc/../own": "a"}}, "files: expected absolute paths of files, got '/etc/../own'"),
        ({"files": {"/etc/own": 1}}, "files./etc/own: expected the file's text, got 1"),
        ({"env": {"A B": "c"}}, "env.A B: expected the name of an environment variable"),
        ({"env": {"A": "b\nRUN c"}}, "env.A: expected a line of text or a number"),
        ({"env": {"A": True}}, "env.A: expected a line of text or a number (quote true and false), got True"),
        ({"ca_bundle": "/etc/ca.pem"}, "ca_bundle: expected certificates as PEM text, got text that is not shown"),
        *(
            (
                {"pip": ["a"], "wheelhouse": folder},
                f"wheelhouse: expected the path of a folder, without .. in it, got '{folder}'",
            )
            for folder in ("../../etc", "..", "wheels/..", "wheels/../../etc", "/srv/../etc")
        ),
        ({"base": "vllm-openai"}, "base: expected a key of fleet_images such as vllm or vllm_omni, or an image"),
        (
            {"pip": ["a"], "pip_index": "https://a.example/simple", "wheelhouse": "/srv/w"},
            "pip_index: has no effect with wheelhouse",
        ),
        (
            {"pip": [], "pip_index": "https://a.example/simple"},
            "pip_index: has no effect without pip; add pip, or",
        ),
        ({"wheelhouse": "wheels", "apt": ["sox"]}, "wheelhouse: has no effect without pip; add pip, or"),
        (
            {"apt_mirror": WHOLE["apt_mirror"], "pip": ["a"]},
            "apt_mirror: has no effect without apt; add apt, or",
        ),
        ({"pip": "a", "pip_index": "https://a.example/simple"}, "pip: expected a list, got 'a'"),
        ({"atp": []}, "atp: unknown key; did you mean 'apt'?"),
    ],
)
def test_refuses_and_says_what_would_be_right(changes: dict[str, Any], fault: str) -> None:
    (found,) = recipe_faults(**changes)
    assert found.startswith(f"fleet_recipes.own.{fault}")


@pytest.mark.parametrize("name", ["Own", "own/other", "own--", "-own", "a__b c"])
def test_its_name_is_part_of_an_images_name(name: str) -> None:
    assert f"fleet_recipes.{name}: expected a name of a-z, 0-9 and single . _ - between them" in faults(
        Recipe.parse, {}, f"fleet_recipes.{name}"
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"pip": [f"own @ https://ann:{PASSWORD}@files.example/own.whl"]}, "pip[0]"),
        ({"pip": [f"git+https://{PASSWORD}@git.example/own"]}, "pip[0]"),
        ({"pip": ["a"], "pip_index": f"https://ann:{PASSWORD}@mirror.example/simple"}, "pip_index"),
        (
            {"apt": ["sox"], "apt_mirror": [f"deb https://ann:{PASSWORD}@mirror.example/debian bookworm main"]},
            "apt_mirror[0]",
        ),
        ({"env": {"HF_TOKEN": PASSWORD}}, "env.HF_TOKEN"),
        ({"pip": [f"{KEY}{PASSWORD}"]}, "pip[0]"),
        ({"files": {"/etc/own.pem": f"{KEY}{PASSWORD}"}}, "files./etc/own.pem"),
        ({"files": {"/etc/own.asc": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{PASSWORD}"}}, "files./etc/own.asc"),
        ({"files": {"/etc/pip.conf": f"a = 1\nindex-url = https://ann:{PASSWORD}@m.example"}}, "files./etc/pip.conf"),
        ({"env": {"HTTPS_PROXY": f"http://ann:{PASSWORD}@proxy.example:3128"}}, "env.HTTPS_PROXY"),
        ({"env": {"PIP_INDEX_URL": f"https://{PASSWORD}@mirror.example/simple"}}, "env.PIP_INDEX_URL"),
        ({"env": {"OWN": f"{KEY}{PASSWORD}"}}, "env.OWN"),
        ({"ca_bundle": f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----\n{PASSWORD}"}, "ca_bundle"),
    ],
)
def test_what_would_be_a_secret_in_a_layer_is_refused_and_not_shown(changes: dict[str, Any], path: str) -> None:
    (found,) = recipe_faults(**changes)
    assert found.startswith(f"fleet_recipes.own.{path}: ")
    assert LAYER in found
    assert PASSWORD not in found


@pytest.mark.parametrize(
    "text", ["url = https://mirror.example/~ann@site\n", "mail = ann@site.example\n", "the private key is elsewhere\n"]
)
def test_a_file_that_only_looks_a_little_like_that_is_taken(text: str) -> None:
    assert Recipe.parse({"files": {"/etc/own": text}}, "").files == {"/etc/own": text}


@given(st.dictionaries(st.sampled_from([*WHOLE, "wheelhouse", "other"]), ANYTHING, max_size=4))
def test_anything_at_all_is_a_recipe_or_a_fault_with_its_path(data: dict[str, Any]) -> None:
    try:
        recipe = Recipe.parse(data, "fleet_recipes.own")
    except FleetError as error:
        assert all(fault.startswith("fleet_recipes.own") for fault in error.faults)
    else:
        assert Recipe.parse(plain(recipe), "fleet_recipes.own") == recipe


def test_refuses_another_place_of_the_weights_in_the_image() -> None:
    (found,) = recipe_faults(env={"HF_HUB_CACHE": "/srv/own"})
    assert found.startswith("fleet_recipes.own.env.HF_HUB_CACHE: set by the collection; weights are in the cache")

"""The image of a model's containers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import TYPES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import Recipe
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults, fleet

DIGEST = "sha256:" + "0123456789abcdef" * 4
WHISPER = {"base": "vllm", "apt": ["ffmpeg"], "pip": ["vllm[audio]"]}


def image(recipes: Any = None, **changes: Any) -> str:
    """The image of a model with these changes."""
    one = fleet(entry(**changes), recipes=recipes or {})
    return one.image_of(one.models[0])


# Order of precedence


def test_the_models_own_image_comes_first() -> None:
    assert image({"whisper": WHISPER}, image="own/vllm:1", recipe="whisper", type="tts") == "own/vllm:1"


def test_then_its_recipes() -> None:
    assert image({"whisper": WHISPER}, recipe="whisper", type="tts").startswith("inference-fleet/recipe-whisper:")


@pytest.mark.parametrize("kind", TYPES)
def test_then_the_one_of_its_type(kind: str) -> None:
    assert image(type=kind) == (Images().vllm_omni if kind in ("tts", "image") else Images().vllm)


# Recipes


@pytest.mark.parametrize(
    "changed",
    [
        {**WHISPER, "base": "vllm_omni"},
        {**WHISPER, "apt": ["ffmpeg", "sox"]},
        {**WHISPER, "pip": ["vllm[audio]==0.22"]},
        {"base": "vllm"},
    ],
)
def test_a_recipes_image_is_another_when_its_content_is(changed: dict[str, Any]) -> None:
    tag = Recipe.parse(WHISPER, "").image("whisper", Images())
    assert Recipe.parse(changed, "").image("whisper", Images()) != tag
    assert Recipe.parse(dict(reversed(WHISPER.items())), "").image("whisper", Images()) == tag


def test_a_recipes_image_is_another_when_its_base_image_is() -> None:
    recipe = Recipe.parse(WHISPER, "")
    assert recipe.image("whisper", Images(vllm="own/vllm:1")) != recipe.image("whisper", Images())
    assert recipe.image("whisper", Images(vllm_omni="own/omni:1")) == recipe.image("whisper", Images())


# References


def test_what_is_not_given_keeps_its_pinned_image() -> None:
    assert Images.parse({"caddy": "own/caddy:2"}, "fleet_images") == Images(caddy="own/caddy:2")


@pytest.mark.parametrize("part", [part.name for part in fields(Images)])
def test_every_pinned_image_would_itself_be_taken(part: str) -> None:
    reference = getattr(Images(), part)
    assert getattr(Images.parse({part: reference}, "fleet_images"), part) == reference
    assert not reference.endswith(":latest")


@pytest.mark.parametrize(
    "reference",
    ["a:1", "vllm/vllm-openai:v0.31.0", "registry:5000/own/vllm:1.0_x", f"own/vllm@{DIGEST}", f"own/vllm:1@{DIGEST}"],
)
def test_takes_references_with_a_tag_or_a_digest(reference: str) -> None:
    assert image(image=reference) == reference


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("caddy:2", "caddy:2"),
        (f"caddy@{DIGEST}", f"caddy@{DIGEST}"),
        (f"caddy:2@{DIGEST}", f"caddy@{DIGEST}"),
        (f"registry:5000/own/caddy:2@{DIGEST}", f"registry:5000/own/caddy@{DIGEST}"),
        (f"registry:5000/own/caddy@{DIGEST}", f"registry:5000/own/caddy@{DIGEST}"),
    ],
)
def test_roles_get_a_reference_that_community_docker_finds_on_the_host(reference: str, found: str) -> None:
    """It looks for NAME@DIGEST among the digests of the host's images: NAME must have no tag."""
    given = {"caddy": reference}
    assert fleet(images=given).public()["images"]["caddy"] == found
    assert fleet(images=given).images.caddy == reference, "the tag tells the version"


@pytest.mark.parametrize(
    "reference", ["vllm", "registry:5000/vllm", "own/vllm@sha256:12", "own/vllm:", ":1", "own/vl lm:1", "", 1]
)
def test_refuses_references_that_could_change_their_meaning(reference: Any) -> None:
    assert faults(Images.parse, {"vllm": reference}, "fleet_images") == [
        "fleet_images.vllm: expected an image reference with a tag or digest, such as vllm/vllm-openai:v0.31.0, "
        f"got {reference!r}"
    ]

"""The images that nothing uses any more."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import docker as engine
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage, unused_images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import (
    Images,
    repository_of,
    short_reference,
)
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

DIGEST = "sha256:" + "d" * 64


def image(*tags: str, digests: tuple[str, ...] = (), size: int = 1, used: bool = False) -> HostImage:
    return HostImage("sha256:" + "0" * 64, tags, digests, size, used)


def unused(image_: HostImage, *entries: dict[str, Any], foreign: bool = False, **variables: Any) -> bool:
    return bool(unused_images(fleet(*entries, **variables), [image_], foreign))


def test_an_earlier_version_is_unused_and_the_one_of_the_inventory_is_not() -> None:
    assert unused(image("vllm/vllm-openai:v0.1.0"), entry())
    assert not unused(image(Images().vllm), entry())
    assert not unused(image(Images().vllm), entry(state="stopped"))
    assert unused(image(Images().vllm), entry(state="absent"))
    assert unused(image(Images().vllm), entry(image="vllm/vllm-openai:v9"))


def test_an_image_of_a_container_is_used_in_any_state() -> None:
    assert not unused(image("vllm/vllm-openai:v0.1.0", used=True))


def test_an_image_that_lost_its_tag_is_known_by_its_digest() -> None:
    assert unused(image(digests=(f"vllm/vllm-openai@{DIGEST}",)))
    assert not unused(image(digests=(f"caddy@{DIGEST}",)), images={"caddy": f"caddy@{DIGEST}"})
    pinned = f"docker.io/vllm/vllm-openai:v1@{DIGEST}"
    assert not unused(image(digests=(f"vllm/vllm-openai@{DIGEST}",)), entry(image=pinned))


def test_images_of_others_stay_unless_they_are_asked_for() -> None:
    assert not unused(image("team/notebook:1"))
    assert not unused(image())
    assert not unused(image("vllm/vllm-openai:v0.1.0", "team/kept:1"))
    assert unused(image("team/notebook:1"), foreign=True)
    assert unused(image(), foreign=True)


def test_services_use_theirs_and_monitoring_only_where_it_runs() -> None:
    for name in ("caddy", "litellm", "postgres"):
        assert not unused(image(getattr(Images(), name)))
    assert unused(image(Images().grafana))
    assert not unused(image(Images().grafana), monitoring=True)


def test_recipes_use_their_image_and_its_base() -> None:
    one = entry(recipe="own")
    recipes = {"own": {"base": "vllm", "pip": ["x"]}}
    built = fleet(one, recipes=recipes).image_of(fleet(one, recipes=recipes).models[0])
    assert not unused(image(built), one, recipes=recipes)
    assert not unused(image(Images().vllm), one, recipes=recipes)
    assert unused(image(built), recipes=recipes)


def test_downloads_use_theirs() -> None:
    assert not unused(image("own/client:1"), cache={"image": "own/client:1"})


def test_the_largest_is_first() -> None:
    images = [image(f"vllm/vllm-openai:{size}", size=size) for size in (1, 3000, 20)]
    assert list(map(str, unused_images(fleet(), images))) == [
        "vllm/vllm-openai:3000 (3.0 kB)",
        "vllm/vllm-openai:20 (20 bytes)",
        "vllm/vllm-openai:1 (1 bytes)",
    ]


@pytest.mark.parametrize(
    ("reference", "short", "repository"),
    [
        ("docker.io/library/caddy:2", "caddy:2", "caddy"),
        ("registry:5000/own/x:1", "registry:5000/own/x:1", "registry:5000/own/x"),
        (f"index.docker.io/own/x:1@{DIGEST}", f"own/x@{DIGEST}", "own/x"),
    ],
)
def test_references_are_compared_as_docker_lists_them(reference: str, short: str, repository: str) -> None:
    assert (short_reference(reference), repository_of(short)) == (short, repository)


def test_reads_images_as_docker_lists_them() -> None:
    listed = {"Id": "sha256:1", "RepoTags": ["<none>:<none>"], "RepoDigests": [f"own/x@{DIGEST}"], "Size": 7}
    found = engine._host_image(listed, [{"ImageID": "sha256:2", "Image": "own/y:1"}])
    assert found == HostImage("sha256:1", (), (f"own/x@{DIGEST}",), 7, False)
    bare = engine._host_image({"Id": "sha256:1", "RepoTags": None, "RepoDigests": None, "Size": 7}, [])
    assert (bare.tags, bare.digests) == ((), ())


@pytest.mark.parametrize(
    "container", [{"ImageID": "sha256:1", "Image": "sha256:1"}, {"ImageID": "sha256:2", "Image": "docker.io/own/x:1"}]
)
def test_an_image_is_used_by_id_or_by_name(container: dict[str, str]) -> None:
    """With the containerd image store, a container may have another ID of the same image."""
    assert engine._host_image({"Id": "sha256:1", "RepoTags": ["own/x:1"], "Size": 7}, [container]).used

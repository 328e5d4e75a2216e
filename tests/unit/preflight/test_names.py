"""The names that a host must resolve before its fleet can run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.preflight.names import needed_names, registry
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

DIGEST = "sha256:" + "0" * 64
SERVICES = {Images.litellm, Images.postgres, Images.caddy}


def needed(
    *entries: dict[str, Any], images: set[str] = SERVICES, containers: set[str] | None = None, **docker: Any
) -> dict[str, str]:
    return needed_names(fleet(*entries), images, containers or set(), docker)


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("postgres:15.19", "registry-1.docker.io"),
        ("vllm/vllm-openai:v0.31.0", "registry-1.docker.io"),
        ("docker.io/library/postgres:15.19", "registry-1.docker.io"),
        ("ghcr.io/berriai/litellm:v1", "ghcr.io"),
        ("registry.example.com:5000/vllm:1", "registry.example.com"),
        ("localhost/vllm:1", "localhost"),
        ("nvcr:1", "registry-1.docker.io"),
    ],
)
def test_knows_the_registry_of_an_image(image: str, host: str) -> None:
    assert registry(image) == host


def test_a_new_host_needs_its_registry_and_the_hub() -> None:
    assert needed(entry(), images=set()) == {
        "registry-1.docker.io": "caddy:2.11.7 and 3 more",
        "huggingface.co": "the weights of qwen3-8b",
    }


def test_a_host_that_has_its_images_and_containers_needs_no_name() -> None:
    assert needed(entry(), images={*SERVICES, Images.vllm}, containers={"vllm-qwen3-8b-1"}) == {}


@pytest.mark.parametrize(
    ("image", "listed"),
    [
        ("docker.io/vllm/vllm-openai:v1", "vllm/vllm-openai:v1"),
        ("docker.io/library/vllm:1", "vllm:1"),
        (f"ghcr.io/x/vllm@{DIGEST}", f"ghcr.io/x/vllm@{DIGEST}"),
        (f"localhost:5000/vllm:1@{DIGEST}", f"localhost:5000/vllm@{DIGEST}"),
    ],
)
def test_knows_images_by_the_names_that_docker_lists_them_under(image: str, listed: str) -> None:
    model = entry(source="/srv/qwen", image=image)
    assert needed(model, images={*SERVICES, listed}) == {}
    assert needed(model) != {}


@pytest.mark.parametrize(
    "changes", [{"source": "/srv/qwen"}, {"state": "stopped"}, {"state": "absent"}, {"env": {"HF_HUB_OFFLINE": 1}}]
)
def test_the_hub_is_needed_only_where_weights_will_be_loaded_from_it(changes: dict[str, Any]) -> None:
    assert "huggingface.co" not in needed(entry(**changes))


@pytest.mark.parametrize(
    ("env", "host"),
    [
        ({"HF_ENDPOINT": "https://hf.example.com/mirror"}, "hf.example.com"),
        ({"HTTPS_PROXY": "http://user:word@proxy.example.com:3128"}, "proxy.example.com"),
        ({"https_proxy": "proxy.example.com:3128"}, "proxy.example.com"),
        ({"HF_HUB_OFFLINE": 0}, "huggingface.co"),
    ],
)
def test_a_mirror_of_the_hub_or_a_proxy_is_looked_up_instead(env: dict[str, Any], host: str) -> None:
    assert needed(entry(env=env), images={*SERVICES, Images.vllm}) == {host: "the weights of qwen3-8b"}


@pytest.mark.parametrize(
    ("docker", "host"),
    [
        ({"HttpsProxy": "http://proxy.example.com:3128"}, "proxy.example.com"),
        ({"RegistryConfig": {"Mirrors": ["https://mirror.example.com/"]}}, "mirror.example.com"),
        ({"RegistryConfig": {"Mirrors": []}}, "registry-1.docker.io"),
        ({"RegistryConfig": None, "HttpProxy": ""}, "registry-1.docker.io"),
    ],
)
def test_a_proxy_or_a_mirror_of_dockers_is_looked_up_instead(docker: dict[str, Any], host: str) -> None:
    assert needed(entry(source="/srv/qwen"), **docker) == {host: Images.vllm}


def test_the_proxy_of_the_fleet_is_looked_up_for_what_is_not_reached_directly() -> None:
    proxy = {"url": "http://me:hunter22@proxy.example.com:3128", "no_proxy": ["registry.corp.example"]}
    behind = fleet(entry(), proxy=proxy, images={"caddy": "registry.corp.example/caddy:2"})
    images = SERVICES - {Images.caddy}
    assert needed_names(behind, images, set(), {"HttpsProxy": "http://old.example:3128"}) == {
        "registry.corp.example": "registry.corp.example/caddy:2",
        "proxy.example.com": f"{Images.vllm} and 1 more",
    }


def test_the_image_of_a_recipe_comes_from_nowhere() -> None:
    variables = {"recipes": {"whisper": {"base": "vllm"}}}
    assert needed_names(fleet(entry(source="/srv/q", recipe="whisper"), **variables), SERVICES, set(), {}) == {}


def test_monitoring_has_images_of_its_own() -> None:
    assert needed_names(fleet(monitoring=True), SERVICES, set(), {}) == {
        "registry-1.docker.io": "grafana/grafana:13.2.3 and 3 more"
    }


def test_of_its_images_that_for_gpus_is_needed_where_there_are_some() -> None:
    wanted = needed_names(fleet(entry(source="/srv/q"), monitoring=True), {*SERVICES, Images.vllm}, set(), {})
    assert wanted == {"registry-1.docker.io": "grafana/grafana:13.2.3 and 4 more"}

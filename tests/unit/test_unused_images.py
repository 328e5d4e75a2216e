"""inference.fleet.unused_images: the whole module, on a fake Docker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import unused_images
from ansible_collections.inference.fleet.tests.unit.running import FleetModule
from ansible_collections.inference.fleet.tests.unit.samples import entry

Run = Callable[..., dict[str, Any]]


class FakeDocker:
    """in_use: the names that Docker refuses to remove."""

    def __init__(self) -> None:
        names = ("vllm/vllm-openai:v0.1.0", "vllm/vllm-openai:v0.2.0", "team/notebook:1")
        self.there = [HostImage(f"sha256:{name}", (name,), (), 2 * 10**9, False) for name in names]
        self.in_use: set[str] = set()

    def images_of_host(self) -> list[HostImage]:
        return list(self.there)

    def remove_unused(self, image: HostImage) -> None:
        if image.tags[0] in self.in_use:
            raise FleetError(f"removing image {image}: in use")
        self.there.remove(image)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    fake = FakeDocker()
    monkeypatch.setattr(unused_images, "DockerImages", lambda: fake)
    return fake


@pytest.fixture
def run(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> Run:
    return FleetModule(unused_images.main, "unused_images", capsys)


def test_check_mode_lists_what_the_run_removes(run: Run, docker: FakeDocker) -> None:
    shown = run(models=[entry()], check=True)
    assert len(docker.there) == 3
    assert shown["actions"] == [
        "remove vllm/vllm-openai:v0.1.0 (2.0 GB)",
        "remove vllm/vllm-openai:v0.2.0 (2.0 GB)",
    ]
    assert (run(models=[entry()])["actions"], shown["changed"]) == (shown["actions"], True)
    assert [image.tags for image in docker.there] == [("team/notebook:1",)]
    assert run(models=[entry()])["changed"] is False


def test_images_of_others_are_removed_where_they_are_asked_for(run: Run, docker: FakeDocker) -> None:
    run(foreign=True)
    assert docker.there == []


def test_an_image_in_use_keeps_no_other_from_its_removal(run: Run, docker: FakeDocker) -> None:
    docker.in_use = {"vllm/vllm-openai:v0.1.0"}
    answer = run()
    assert (answer["failed"], answer["msg"]) == (True, "removing image vllm/vllm-openai:v0.1.0 (2.0 GB): in use")
    assert answer["actions"] == ["remove vllm/vllm-openai:v0.2.0 (2.0 GB)"]

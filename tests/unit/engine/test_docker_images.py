"""What is sent to Docker's builder, and how its answers are read."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker_images import DockerImages
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import Base, Build, Built, Removal
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from docker.errors import APIError, ImageNotFound


class Api:
    """A FAKE of docker.APIClient. answers: what the builder streams. context: what it was given."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = answers
        self.context: dict[str, tuple[int, bytes]] = {}
        self.asked: dict[str, Any] = {}

    def build(self, fileobj: io.BytesIO, **options: Any) -> Iterator[dict[str, str]]:
        self.asked = options
        with tarfile.open(fileobj=fileobj) as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                assert file and (entry.uid, entry.mtime) == (0, 0)
                self.context[entry.name] = (entry.mode, file.read())
        return iter(self.answers)

    def images(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        assert filters == {"label": "inference-fleet.recipe"}
        labels = {"inference-fleet.recipe": "own", "inference-fleet.recipe-content": "f00d"}
        tagged = {"Id": "sha256:1", "RepoTags": ["inference-fleet/recipe-own:1"], "Labels": labels, "Size": 7}
        return [tagged, {**tagged, "Id": "sha256:2", "RepoTags": ["<none>:<none>"]}, {**tagged, "RepoTags": None}]

    def containers(self, all: bool) -> list[dict[str, Any]]:
        return [{"Names": ["/vllm-a-1"], "ImageID": "sha256:1"}, {"Names": ["/other"], "ImageID": "sha256:9"}]

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference == "own/base:1":
            return {"Id": "sha256:b", "Config": {"User": "vllm"}}
        raise ImageNotFound("no such image")

    def remove_image(self, image: str, force: bool) -> None:
        raise APIError("conflict", explanation="in use")


def docker(*answers: dict[str, str]) -> Any:
    one: Any = DockerImages.__new__(DockerImages)
    one._api = Api(*answers)
    return one


def build(wheels: Path | None = None) -> Build:
    files = {"files/0": "a: 1\n", "files/1": "#!/bin/sh\n"}
    return Build(
        "own", "inference-fleet/recipe-own:1", "b", "FROM b\n", files, str(wheels) if wheels else None, "f", ""
    )


def test_docker_gets_the_dockerfile_the_files_and_the_wheels(tmp_path: Path) -> None:
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "notes.txt").write_text("no wheel")
    one = docker()
    one.build(build(tmp_path), lambda _line: None, {}, "fleet-download")
    assert one._api.context == {
        "Dockerfile": (0o644, b"FROM b\n"),
        "files/0": (0o644, b"a: 1\n"),
        "files/1": (0o755, b"#!/bin/sh\n"),
        "wheels/a-1-py3-none-any.whl": (0o644, b"wheel"),
    }
    assert one._api.asked["tag"] == "inference-fleet/recipe-own:1"
    assert one._api.asked["labels"]["inference-fleet.recipe-content"] == "f"


def test_a_build_gets_the_proxy_as_arguments_which_no_image_keeps() -> None:
    one = docker()
    one.build(build(), lambda _line: None, {"HTTPS_PROXY": "http://proxy.example:3128"}, "fleet-download")
    assert one._api.asked["buildargs"] == {"HTTPS_PROXY": "http://proxy.example:3128"}
    assert one._api.asked["network_mode"] == "fleet-download"


def test_steps_are_said_but_for_those_of_the_labels() -> None:
    said: list[str] = []
    steps = ["Step 1/2 : FROM b\n", " ---> 0123\n", "Step 2/2 : LABEL inference-fleet.recipe=own\n"]
    docker(*({"stream": step} for step in steps)).build(build(), said.append, {}, "n")
    assert said == ["own: Step 1/2 : FROM b"]


def test_a_line_that_comes_in_coloured_pieces_is_one_in_the_message() -> None:
    pieces = ["Step 1/2 : RUN apt\n", "\x1b[91mE\x1b[0m", "\x1b[91m: Unable to locate package sxo\x1b[0m\n"]
    with pytest.raises(FleetError) as caught:
        answers = ({"stream": piece} for piece in pieces)
        docker(*answers, {"error": "returned 100"}).build(build(), lambda _line: None, {}, "n")
    assert "failed at Step 1/2 : RUN apt: apt knows no package sxo; " in str(caught.value)
    assert str(caught.value).endswith("\n    E: Unable to locate package sxo")


def test_reads_what_was_built_and_of_what(tmp_path: Path) -> None:
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"wheel")
    observed = docker().observe_recipes(["own/base:1", "own/gone:1"], {"own": str(tmp_path), "gone": "/srv/no-wheels"})
    assert observed.bases == {"own/base:1": Base("sha256:b", "vllm")}
    assert observed.built[0] == Built(
        "sha256:1", ("inference-fleet/recipe-own:1",), "own", "f00d", size=7, used_by=("vllm-a-1",)
    )
    assert [one.tags for one in observed.built[1:]] == [(), ()]
    assert observed.wheels == {"own": {"a-1-py3-none-any.whl": hashlib.sha256(b"wheel").hexdigest()}}


def test_a_container_may_have_another_id_of_an_image_and_no_name_yet() -> None:
    """With the containerd image store; a container that is being created has no name."""
    one = docker()
    containers = [{"Names": None, "Image": "inference-fleet/recipe-own:1", "ImageID": "sha256:m"}, {"Id": "0123"}]
    one._api.containers = lambda all: containers
    assert one.observe_recipes([], {}).built[0].used_by == ("a container",)


def test_an_image_that_cannot_be_removed_is_reported() -> None:
    with pytest.raises(FleetError, match="removing image own:1: in use"):
        docker().remove_image(Removal("sha256:1", "own:1", 0))


def test_an_unused_image_is_removed_by_each_name_without_force() -> None:
    host, removed = docker(), []
    host._api.remove_image = lambda name, force: removed.append((name, force))
    host.remove_unused(HostImage("sha256:1", ("own/x:1", "own/x:2"), ("own/x@sha256:3",), 7, False))
    host.remove_unused(HostImage("sha256:4", (), ("own/x@sha256:5",), 7, False))
    assert removed == [("own/x:1", False), ("own/x:2", False), ("sha256:4", False)]


def test_an_image_that_docker_keeps_is_named_with_its_reason() -> None:
    with pytest.raises(FleetError, match=r"removing image own/x:1 \(7 bytes\): in use"):
        docker().remove_unused(HostImage("sha256:1", ("own/x:1",), (), 7, False))

"""inference.fleet.recipe_image: the whole module, on a fake Docker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.action.recipe_image import ActionModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import (
    Base,
    Build,
    Built,
    Observed,
    Removal,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import recipe_image
from ansible_collections.inference.fleet.tests.unit.running import FleetModule
from ansible_collections.inference.fleet.tests.unit.samples import CERTIFICATE, entry, fleet

Run = Callable[..., dict[str, Any]]
RECIPES = {"own": {"apt": ["sox"]}, "other": {"base": "own/base:1", "pip": ["a"]}}
MODELS = [entry(name="a", recipe="own"), entry(name="b", recipe="other"), entry(name="c")]


class FakeImages:
    """registry: images that can be pulled. fails: recipe or image -> the builder's message."""

    def __init__(self) -> None:
        self.registry = {Images().vllm: Base("sha256:vllm"), "own/base:1": Base("sha256:own")}
        self.bases: dict[str, Base] = {}
        self.built: list[Built] = []
        self.fails: dict[str, str] = {}
        self.journal: list[str] = []
        self.how: tuple[dict[str, str], str] = ({}, "")
        self.no_network = ""

    def observe_recipes(self, bases: Iterable[str], wheelhouses: Mapping[str, str]) -> Observed:
        return Observed({name: self.bases[name] for name in bases if name in self.bases}, tuple(self.built))

    def pull(self, reference: str) -> None:
        self.journal.append(f"pull {reference}")
        if reference not in self.registry:
            raise FleetError(f"image {reference}: cannot be pulled and is not on this host: manifest unknown")
        self.bases[reference] = self.registry[reference]

    def provide_network(self, of: Fleet) -> str:
        if self.no_network:
            raise FleetError(self.no_network)
        self.journal.append("network")
        return "fleet-download"

    def build(self, build: Build, say: Callable[[str], None], arguments: Mapping[str, str], network: str) -> None:
        self.how = (dict(arguments), network)
        say(f"{build.recipe}: Step 1/2 : FROM {build.base}")
        if build.recipe in self.fails:
            raise FleetError(self.fails[build.recipe])
        self.journal.append(f"build {build.recipe}")
        self.built.append(Built("sha256:1", (build.image,), build.recipe, build.content, build.dockerfile))

    def remove_image(self, removal: Removal) -> None:
        if removal.name in self.fails:
            raise FleetError(self.fails[removal.name])
        self.journal.append(f"remove {removal.name}")


@pytest.fixture
def docker() -> FakeImages:
    return FakeImages()


@pytest.fixture
def run(docker: FakeImages, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(recipe_image, "DockerImages", lambda: docker)
    monkeypatch.setattr(recipe_image, "provide_network", docker.provide_network)
    module = FleetModule(recipe_image.main, "recipe_image", capsys)
    return lambda **options: module(**{"models": MODELS, "recipes": RECIPES, **options})


def test_builds_what_the_models_need_and_then_has_nothing_to_do(run: Run, docker: FakeImages) -> None:
    first = run()
    assert docker.journal == ["pull own/base:1", f"pull {Images().vllm}", "network", "build other", "build own"]
    assert (first["changed"], first["images"].keys(), first["held"]) == (True, {"own", "other"}, [])
    second = run()
    assert (second["changed"], second["actions"], second["diff"]) == (False, [], [])
    assert second["images"] == first["images"]


def test_builds_with_the_proxy_in_the_network_of_downloads(run: Run, docker: FakeImages) -> None:
    run(proxy="http://me:secret@proxy.example:3128")
    arguments, network = docker.how
    assert (arguments["https_proxy"], network) == ("http://me:secret@proxy.example:3128", "fleet-download")


def test_builds_nothing_without_the_network_and_says_why(run: Run, docker: FakeImages) -> None:
    docker.no_network = "network fleet-download: no subnet is free"
    answer = run()
    assert [one for one in docker.journal if one.startswith("build")] == []
    assert answer["faults"]["own"] == "fleet_recipes.own: network fleet-download: no subnet is free"
    assert answer["held"] == ["a", "b"]


def test_the_images_trust_the_certificates_of_the_site_unless_the_recipe_has_its_own(
    run: Run, docker: FakeImages
) -> None:
    before = run(check=True)["images"]
    own = {**RECIPES, "own": {**RECIPES["own"], "ca_bundle": CERTIFICATE.replace("c2", "b2")}}
    after = run(recipes=own, ca_bundle=CERTIFICATE, check=True)
    assert after["images"]["other"] != before["other"]
    assert after["images"]["own"] == run(recipes=own, check=True)["images"]["own"]
    assert all("COPY ca.crt" in diff["after"] for diff in after["diff"])


def test_check_mode_says_the_same_and_does_nothing(run: Run, docker: FakeImages) -> None:
    told = run(check=True)
    assert docker.journal == []
    assert told["changed"]
    assert [action.split(" (")[1] for action in told["actions"]] == ["missing, and its base image must be pulled)"] * 2
    assert [diff["after"].splitlines()[0] for diff in told["diff"]] == ["FROM own/base:1", f"FROM {Images().vllm}"]


def test_check_mode_takes_wheels_for_there_that_are_yet_to_be_copied(run: Run) -> None:
    recipes = {"own": {"pip": ["a"], "wheelhouse": "wheels"}}
    assert run(check=True, names=["a"], recipes={**RECIPES, **recipes})["actions"]
    assert run(names=["a"], recipes={**RECIPES, **recipes})["msg"].startswith(
        "fleet_recipes.own.wheelhouse: /var/lib/inference-fleet/wheels/own is not a folder on this host"
    )


@pytest.mark.parametrize("check", [False, True])
def test_a_folder_that_the_admins_machine_lacks_is_told_and_the_others_are_built(run: Run, check: bool) -> None:
    recipes = {**RECIPES, "own": {"pip": ["a"], "wheelhouse": "weels"}}
    answer = run(check=check, recipes=recipes, missing_wheelhouses={"own": "/home/ann/fleet/weels"})
    assert answer["faults"].keys() == {"own"}
    assert answer["msg"].startswith(
        "fleet_recipes.own.wheelhouse: /home/ann/fleet/weels is not a folder on the machine"
    )
    assert [action.split(":")[0] for action in answer["actions"]] == ["build inference-fleet/recipe-other"]


def test_the_admins_machine_looks_beside_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "wheels/a").mkdir(parents=True)
    (tmp_path / "file").touch()
    folders = {"a": "wheels/a", "b": "wheels/b", "c": "file", "d": "/srv/wheels", "e": None}
    recipes = {name: {"pip": ["a"], "wheelhouse": one} for name, one in folders.items()}
    action = ActionModule(SimpleNamespace(args={}), *[None] * 5)
    missing = action.more(fleet(recipes=recipes), {}, {"inventory_dir": str(tmp_path)})["missing_wheelhouses"]
    assert missing == {"b": f"{tmp_path}/wheels/b", "c": f"{tmp_path}/file"}
    assert action.more(fleet(), {}, {})["missing_wheelhouses"] == {}


def test_one_that_fails_is_told_with_the_models_it_holds_up_and_the_others_are_built(
    run: Run, docker: FakeImages
) -> None:
    del docker.registry["own/base:1"]
    docker.fails["gemma3n"] = "fleet_recipes.gemma3n: building failed"
    models = [*MODELS, entry(name="d", recipe="other", image="own/image:1"), entry(name="e", recipe="gemma3n")]
    answer = run(models=models)
    assert answer["failed"]
    assert answer["held"] == ["b", "e"]
    assert answer["faults"] == {
        "other": "fleet_recipes.other.base: image own/base:1: cannot be pulled and is not on this host: "
        "manifest unknown",
        "gemma3n": "fleet_recipes.gemma3n: building failed",
    }
    assert answer["msg"].splitlines() == list(answer["faults"].values())
    assert [action.split(":")[0] for action in answer["actions"]] == ["build inference-fleet/recipe-own"]


def test_builds_for_some_models_or_what_it_is_told_to(run: Run) -> None:
    assert run(names=["a"])["images"].keys() == {"own"}
    assert run(only=["whisper"])["images"].keys() == {"whisper"}
    assert run(names=["c"])["images"] == {}
    assert run(only=["whispr"])["msg"].startswith("recipe: 'whispr' is neither in fleet_recipes nor")
    assert run(names=["x"])["msg"].startswith("model: 'x' is not in this host's inventory")


def test_removes_what_the_inventory_does_not_ask_for_when_told_to(run: Run, docker: FakeImages) -> None:
    run()
    docker.built.append(Built("sha256:2", ("inference-fleet/recipe-gone:1",), "gone", "x"))
    docker.journal.clear()
    assert not run()["changed"]
    assert run(prune=True, names=["a"])["actions"] == ["remove inference-fleet/recipe-gone:1 (0.0 GB)"]
    assert docker.journal == ["remove inference-fleet/recipe-gone:1"]
    docker.fails["inference-fleet/recipe-gone:1"] = "removing image: conflict"
    assert run(prune=True)["msg"] == "removing image: conflict"


def test_an_inventory_with_faults_stops_before_docker_is_asked(run: Run, docker: FakeImages) -> None:
    assert run(recipes={"own": {"apt": ["a b"]}})["msg"].startswith("fleet_recipes.own.apt[0]: expected the name of a")
    assert docker.journal == []


def test_each_step_is_a_line_of_the_progress_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run" / "progress"
    run(names=["a"], progress=str(path))
    vllm = Images().vllm
    assert path.read_text() == f"pulling {vllm}\nown: Step 1/2 : FROM {vllm}\n"

"""Images of recipes are built on the host, when what goes into them changed, and before their models start."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from lab.fixtures import INVENTORY, Admin, Door, Run, identities, inspect
from testinfra.host import Host

testinfra_hosts = ["ansible://light"]
WHEELS = INVENTORY.parent / ".wheels"
"""Ansible, whose inventory is the whole folder, reads no hidden file of it."""
EXTRA = {"name": "extra", "type": "stt", "source": "example/extra", "devices": {"cpu": True}, "recipe": "lab"}
LAB = {
    "apt": ["python3-pip"],
    "pip": ["lab-extra"],
    "wheelhouse": ".wheels",  # beside the inventory
    "files": {"/usr/local/bin/greet": "#!/bin/sh\necho hello\n"},
}


class Site:
    def __init__(self, admin: Admin, door: Door) -> None:
        self._admin, self._models = admin, door.models

    def play(self, playbook: str, recipe: dict[str, Any] | None, *more: str, **others: dict[str, Any]) -> Run:
        """With the model of the recipe `lab`, if that is one; others: further recipes."""
        models = [*self._models, *([EXTRA] if recipe else [])]
        recipes = {**({"lab": recipe} if recipe else {}), **others}
        variables = {"fleet_models": models, "fleet_recipes": recipes}
        return self._admin.play(playbook, "--limit", "light", *more, variables=variables)


@pytest.fixture(scope="module")
def site(admin: Admin, door: Door) -> Iterator[Site]:
    WHEELS.mkdir(exist_ok=True)
    with zipfile.ZipFile(WHEELS / "lab_extra-1.0-py3-none-any.whl", "w") as wheel:
        about = "lab_extra-1.0.dist-info"
        wheel.writestr("lab_extra.py", "WORD = 'found'\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: lab-extra\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    yield Site(admin, door)
    shutil.rmtree(WHEELS)


def images(host: Host) -> list[str]:
    listed = host.check_output(
        "docker images --filter label=inference-fleet.recipe --format '{{.Repository}}:{{.Tag}}'"
    )
    return listed.splitlines()


def test_check_mode_says_what_would_be_built_and_builds_nothing(site: Site, host: Host) -> None:
    run = site.play("build_images", LAB, "--check", "--diff")
    assert run.status == 0, run.output
    assert "build inference-fleet/recipe-lab:" in run.messages
    assert "FROM inference-fleet/engine-stand-in:1" in run.output
    assert images(host) == []


@pytest.mark.extended
def test_a_model_starts_on_the_image_that_was_built_for_it(site: Site, host: Host, door: Door) -> None:
    before = identities(host)
    run = site.play("add_model", LAB, "-e", "model=extra")
    assert run.status == 0, run.output
    assert "light: lab: Step 2/" in run.output, "each step is shown"
    (image,) = images(host)
    assert inspect(host, "vllm-extra-1")["vllm-extra-1"]["Config"]["Image"] == image
    assert host.check_output("docker exec vllm-extra-1 python3 -c 'import lab_extra; print(lab_extra.WORD)'") == "found"
    assert host.check_output("docker exec vllm-extra-1 greet") == "hello"
    assert door.request("GET", "/models/extra/v1/models").status_code == 200
    after = identities(host)
    assert {name for name in before if before[name] != after[name]} == {"litellm"}
    assert site.play("add_model", LAB, "-e", "model=extra").changed() == {"light": 0}


@pytest.mark.extended
def test_a_recipe_that_changed_makes_its_models_anew_and_no_other(site: Site, host: Host) -> None:
    before = identities(host)
    there = "/var/lib/inference-fleet/wheels/lab"
    host.check_output(f"touch {there}/gone_since-1.0-py3-none-any.whl")
    run = site.play("add_model", {**LAB, "env": {"LAB": "two words"}}, "-e", "model=extra")
    assert run.status == 0, run.output
    assert host.check_output(f"ls {there}") == "lab_extra-1.0-py3-none-any.whl", "as on the admin's machine"
    after = identities(host)
    assert {name for name in before if before[name] != after[name]} == {"vllm-extra-1"}
    assert host.check_output("docker exec vllm-extra-1 printenv LAB") == "two words"
    assert len(images(host)) == 2, "the one before is there still"


@pytest.mark.extended
def test_each_recipe_that_cannot_be_built_is_told_and_the_others_are(site: Site, host: Host) -> None:
    run = site.play(
        "build_images",
        {**LAB, "env": {"LAB": "two words"}},
        **{
            "no-package": {"apt": ["no-such-package"]},
            "no-wheel": {"apt": ["python3-pip"], "pip": ["no-such-wheel"], "wheelhouse": ".wheels"},
            "no-wheels": {"pip": ["any"], "wheelhouse": "/srv/no-wheels"},
            "no-folder": {"pip": ["any"], "wheelhouse": "weels"},
            "no-base": {"base": "127.0.0.1:1/no/such:1"},
            "fine": {"files": {"/etc/fine": "fine\n"}},
        },
    )
    assert run.status != 0
    assert "fleet_recipes.no-package: building inference-fleet/recipe-no-package:" in run.messages
    assert "apt knows no package no-such-package; the end of the build's log:" in run.messages
    assert "pip finds no no-such-wheel that fits the image's Python" in run.messages
    assert "fleet_recipes.no-wheels.wheelhouse: /srv/no-wheels is not a folder on this host" in run.messages
    looked = f"fleet_recipes.no-folder.wheelhouse: {INVENTORY.parent}/weels is not a folder on the machine that Ansible"
    assert looked in run.messages
    assert "fleet_recipes.no-base.base: image 127.0.0.1:1/no/such:1: cannot be pulled" in run.messages
    assert [image for image in images(host) if image.startswith("inference-fleet/recipe-fine:")]


@pytest.mark.extended
def test_a_model_without_its_image_keeps_no_other_from_serving(site: Site, host: Host, door: Door) -> None:
    before = identities(host)
    run = site.play("install", {"base": "127.0.0.1:1/no/such:1"})
    assert run.status != 0
    assert "fleet_recipes.lab.base: image 127.0.0.1:1/no/such:1: cannot be pulled" in run.messages
    assert identities(host) == before, "the model's container of before goes on"
    assert door.request("GET", "/models/extra/v1/models").status_code == 200


@pytest.mark.extended
def test_images_that_nothing_asks_for_are_removed_on_request(site: Site, host: Host) -> None:
    assert site.play("remove_model", LAB, "-e", "model=extra").status == 0
    assert len(images(host)) == 3
    assert site.play("build_images", None, "-e", "prune=yes").status == 0
    assert images(host) == []

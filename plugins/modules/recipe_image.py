#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: recipe_image
short_description: Build the images of recipes whose inputs have changed
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - A recipe adds packages and files to a base image, usually that of an engine. Docker builds the image on the host,
    and again only if the recipe, its base image, its wheels or one of its files has changed.
  - The name of the image is C(inference-fleet/recipe-NAME:TAG). The tag is a hash of the recipe in the inventory. A
    label has a hash of all inputs, including the ID of the base image and the contents of the wheels.
  - Shows each step of a build. If a build fails, the other recipes are still built.
  - The steps of a build are in the Docker network C(fleet-download), which the module creates if it is missing, and
    under the rules of M(inference.fleet.host_rules), which the module writes if the host lacks them.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  names:
    description: Build the recipes of these models. Default is all models.
    type: list
    elements: str
  only:
    description: >-
      Build these recipes, whether or not a model needs them. Names in C(fleet_recipes), or of the collection's
      recipes.
    type: list
    elements: str
  prune:
    description: >-
      Remove images of recipes that are neither in C(fleet_recipes) nor used by a model, and images of previous forms
      of a recipe. An image that a container uses is kept.
    type: bool
    default: false
  missing_wheelhouses:
    description: >-
      Recipe to folder, for each recipe whose folder of wheels is missing on the controller. The action plugin sets this
      option.
    type: dict
    default: {}
  progress:
    description: A file on the host; the module appends each step as a line. The action plugin sets this option.
    type: path
attributes:
  check_mode:
    support: full
    description: Returns the images to build or remove, with the reason. Does not pull a missing base image.
  diff_mode:
    support: full
    description: Shows the Dockerfiles before and after.
seealso:
  - module: inference.fleet.model_containers
"""

EXAMPLES = r"""
- name: Build the images that the models need
  inference.fleet.recipe_image:

- name: Build a recipe of the collection, and remove unused images
  inference.fleet.recipe_image:
    only: [voxtral]
    prune: true
"""

RETURN = r"""
actions:
  description: The actions; in check mode the planned ones.
  returned: always
  type: list
  elements: str
  sample: ["build inference-fleet/recipe-whisper:0123456789ab (missing)"]
images:
  description: Recipe to image, for each recipe in scope.
  returned: always
  type: dict
  sample: {whisper: "inference-fleet/recipe-whisper:0123456789ab"}
faults:
  description: Recipe to its fault.
  returned: failure
  type: dict
held:
  description: The models that lack their image.
  returned: always
  type: list
  elements: str
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker_images import DockerImages
from ansible_collections.inference.fleet.plugins.module_utils.engine.progress import Progress
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import (
    Plan,
    needed_recipes,
    plan_recipes,
    select_recipes,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, scope
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.preflight.download_network import provide_network
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    OPTIONS,
    names=dict(type="list", elements="str"),
    only=dict(type="list", elements="str"),
    prune=dict(type="bool", default=False),
    missing_wheelhouses=dict(type="dict", default={}),
    progress=dict(type="path"),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="recipe_image")


def _work(module: AnsibleModule) -> None:
    try:
        fleet = unpack(module.params)
        models = scope(fleet, module.params["names"])
        wanted = select_recipes(fleet, module.params["only"] or ()) or needed_recipes(fleet, models)
        docker = DockerImages()
        plan = _plan(module, fleet, docker, wanted)
        faults, done = dict(plan.faults), [*plan.builds, *plan.removals]
        if not module.check_mode:
            say = Progress(module.params["progress"])
            faults.update(_pull(plan, docker, say))
            # After the pulls, the IDs of all bases are known.
            plan = _plan(module, fleet, docker, [name for name in wanted if name not in faults])
            done = _carry_out(fleet, plan, docker, say, faults)
    except FleetError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = dict(
        changed=bool(done),
        actions=list(map(str, done)),
        images={name: fleet.recipe(name).image(name, fleet.images) for name in wanted},
        held=[model.name for model in fleet.models if model.recipe in faults and not model.image],
        diff=plan.diff(),
    )
    if faults:
        module.fail_json(msg="\n".join(faults.values()), faults=faults, **result)
    module.exit_json(**result)


def _plan(module: AnsibleModule, fleet: Fleet, docker: DockerImages, wanted: Any) -> Plan:
    recipes = {name: fleet.recipe(name) for name in wanted}
    observed = docker.observe_recipes(
        {recipe.base_image(fleet.images) for recipe in recipes.values()},
        {name: folder for name, recipe in recipes.items() for folder in [recipe.wheels_on_host(name)] if folder},
    )
    if module.check_mode:  # wheels of the admin's machine may not have been copied yet
        copied = {name: {"(to be copied)": ""} for name, recipe in recipes.items() if recipe.copies_wheels}
        observed = replace(observed, wheels={**copied, **observed.wheels})
    observed = replace(observed, missing=module.params["missing_wheelhouses"])
    keep = {*fleet.recipes, *needed_recipes(fleet, (model.name for model in fleet.models)), *wanted}
    return plan_recipes(fleet, wanted, observed, keep if module.params["prune"] else None)


def _pull(plan: Plan, docker: DockerImages, say: Progress) -> dict[str, str]:
    """Pulls missing base images. Returns recipe -> fault."""
    faults = {}
    for base in plan.pulls:
        say(f"pulling {base}")
        try:
            docker.pull(base)
        except FleetError as error:
            faults.update(
                {
                    build.recipe: f"fleet_recipes.{build.recipe}.base: {error}"
                    for build in plan.builds
                    if build.base == base
                }
            )
    return faults


def _carry_out(fleet: Fleet, plan: Plan, docker: DockerImages, say: Progress, faults: dict[str, str]) -> list[Any]:
    done: list[Any] = []
    proxy = fleet.proxy.environment if fleet.proxy else {}
    try:
        network = provide_network(fleet) if plan.builds else ""
    except FleetError as error:
        faults.update({build.recipe: f"fleet_recipes.{build.recipe}: {error}" for build in plan.builds})
        plan = replace(plan, builds=())
    for build in plan.builds:
        try:
            docker.build(build, say, proxy, network)
            done.append(build)
        except FleetError as error:
            faults[build.recipe] = str(error)
    for removal in plan.removals:
        try:
            docker.remove_image(removal)
            done.append(removal)
        except FleetError as error:
            faults[removal.name] = str(error)
    return done


if __name__ == "__main__":
    main()

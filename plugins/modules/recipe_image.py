#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: recipe_image
short_description: Build the images of recipes, each when what goes into it changed
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - A recipe is packages and files on top of another image, an engine's as a rule. Its image is built by Docker on the
    host, and again only when the recipe, its base image, its wheels or a file of it changed.
  - An image is called C(inference-fleet/recipe-NAME:TAG), where the tag is a hash of what the inventory says of it. A
    hash of all that goes into it, the base image's ID and the wheels' contents too, is one of its labels.
  - While it builds, each step is shown. A build that fails does not keep other recipes from theirs.
requirements:
  - the Docker SDK for Python on the host
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  names:
    description: Build the recipes of these models. Not given, those of all models.
    type: list
    elements: str
  only:
    description: >-
      Build these recipes, whatever the models need. They are names of C(fleet_recipes) or of the collection's own
      recipes.
    type: list
    elements: str
  prune:
    description: >-
      Remove images of recipes that neither C(fleet_recipes) nor a model asks for in the form that the inventory has
      now. An image that a container uses is kept.
    type: bool
    default: false
  missing_wheelhouses:
    description: >-
      Recipe to the folder that its wheels are to come from, of those that are not on the machine that Ansible runs on.
      Set by the module's own action plugin.
    type: dict
    default: {}
  progress:
    description: A file on the host to which each step is added as a line. Set by the module's own action plugin.
    type: path
attributes:
  check_mode:
    support: full
    description: Says what would be built or removed and why. A base image that is missing is not pulled.
  diff_mode:
    support: full
    description: The Dockerfiles, as they were and as they would be.
seealso:
  - module: inference.fleet.model_containers
"""

EXAMPLES = r"""
- name: Build the images that the models need
  inference.fleet.recipe_image:

- name: Build one that comes with the collection, and remove what no recipe asks for
  inference.fleet.recipe_image:
    only: [voxtral]
    prune: true
"""

RETURN = r"""
actions:
  description: What was done, or would be.
  returned: always
  type: list
  elements: str
  sample: ["build inference-fleet/recipe-whisper:0123456789ab (missing)"]
images:
  description: The image of each recipe that was asked for.
  returned: always
  type: dict
  sample: {whisper: "inference-fleet/recipe-whisper:0123456789ab"}
faults:
  description: What went wrong, by recipe.
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
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
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
            # What was built without knowing its base's ID is built with it.
            plan = _plan(module, fleet, docker, [name for name in wanted if name not in faults])
            done = _carry_out(plan, docker, say, faults)
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
    """The bases that are missing; by recipe, why one cannot be had."""
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


def _carry_out(plan: Plan, docker: DockerImages, say: Progress, faults: dict[str, str]) -> list[Any]:
    done: list[Any] = []
    for build in plan.builds:
        try:
            docker.build(build, say)
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

#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: unused_images
short_description: Remove the images that nothing uses any more
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Removes the images that no container of the host has, in any state, and that the inventory does not name. The
    inventory names the images of models (stopped ones too), of services, of recipes and of downloads.
  - Only images of repositories that the fleet knows are removed, and the images of recipes. These are the repositories
    in the collection's defaults of C(fleet_images), in C(fleet_images) and in the key C(image) of models.
  - Images are removed by name and without force, so Docker refuses to remove an image that is in use.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  foreign:
    description: Include images of all other repositories, which may belong to other users of the host.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Returns the images.
  diff_mode:
    support: full
    description: Shows the images, one line each.
seealso:
  - module: inference.fleet.model_cache
"""

EXAMPLES = r"""
- name: List the images that nothing uses any more
  inference.fleet.unused_images:
  check_mode: true
"""

RETURN = r"""
actions:
  description: The removed images; in check mode those that would be removed. Sizes include shared layers.
  returned: always
  type: list
  elements: str
  sample: ["remove vllm/vllm-openai:v0.21.0 (21.3 GB)"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker_images import DockerImages
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import unused_images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(OPTIONS, foreign=dict(type="bool", default=False))


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    try:
        docker = DockerImages()
        found = unused_images(unpack(module.params), docker.images_of_host(), module.params["foreign"])
    except FleetError as error:
        module.fail_json(msg=str(error))
    done, faults = [], []
    for image in found:
        try:
            if not module.check_mode:
                docker.remove_unused(image)
            done.append(str(image))
        except FleetError as error:
            faults.append(str(error))
    result = dict(
        changed=bool(done),
        actions=[f"remove {image}" for image in done],
        diff={"before": "".join(f"{image}\n" for image in done), "after": ""},
    )
    if faults:
        module.fail_json(msg="\n".join(faults), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

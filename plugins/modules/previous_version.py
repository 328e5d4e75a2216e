#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: previous_version
short_description: Find the version of a model that served before
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns the last version of a model that served on the host and is not the version in the inventory. The host
    remembers two versions of each model, those that M(inference.fleet.model_containers) wrote into
    C(/var/lib/inference-fleet/served.json).
  - A version is the keys C(type), C(source), C(image), C(recipe), C(args), C(env), C(adapters), C(devices),
    C(shm_size) and C(memory) of an entry of C(fleet_models). If the tag of the image is another image since then, the
    image has the name that it still has on the host.
  - Without such a version, the task fails.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  model:
    description: The name of a model of the inventory that runs.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.model_containers
  - module: inference.fleet.validate
"""

EXAMPLES = r"""
- name: Find the previous version of the model
  inference.fleet.previous_version:
    model: qwen3-8b
  register: previous

- name: Check the inventory with the previous version of the model
  inference.fleet.validate:
    model: qwen3-8b
    entry: "{{ previous.entry }}"
    entry_secrets: "{{ previous.secrets }}"
"""

RETURN = r"""
entry:
  description: The keys of the version, as in an entry of C(fleet_models). C(env) has no secret values.
  returned: success
  type: dict
  sample: {type: chat, source: Qwen/Qwen3-8B, image: "vllm/vllm-openai:v0.30.0", args: {}, env: {}}
secrets:
  description: The names of the variables of C(env) whose values the host does not keep.
  returned: success
  type: list
  elements: str
shown:
  description: The entry of C(fleet_models) with this version, without defaults, for a person.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.engine.served import FILE, read_served
from ansible_collections.inference.fleet.plugins.module_utils.engine.versions import previous, shown
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import select
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(OPTIONS, model=dict(type="str", required=True))


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    try:
        fleet = unpack(module.params)
        model = select(fleet, module.params["model"])
        found = previous(fleet, model, read_served().get(model.name), Docker().images_of_host(), FILE)
    except FleetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        entry=found.entry,
        secrets=list(found.secrets),
        shown=shown(model.name, found.entry),
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_key
short_description: Manage LiteLLM's virtual keys from a list
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Takes a list of virtual keys in one call, compares it with LiteLLM's keys, and changes only the differences. A key
    is identified by its alias. Keys whose alias is not in the list are never changed, except by O(exclusive_prefix).
  - The module calls LiteLLM at the address of its container in Docker's network, so LiteLLM needs no port on the host.
    The module must run as a user who may use Docker and read O(master_key_file), such as root.
  - An option that a key does not (or no longer) have gets LiteLLM's default, which is no limit.
  - LiteLLM shows the value of a key only when the key is created. The module generates the value, unless
    O(keys[].key) or O(values) gives one, and returns it in RV(new_keys).
  - If O(keys[].key) differs from the value of the key in LiteLLM, the key is deleted and recreated. Its spend then
    starts at zero, and settings without an option in O(keys) get LiteLLM's defaults.
  - After changes the module reads the keys again, and fails if a key is not as requested.
  - A failed action stops only the actions on its own key; the task fails after all keys were tried.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
  - LiteLLM 1.106.2 or later with its database
options:
  keys:
    description: The keys. The same alias or the same value twice is an error.
    type: list
    elements: dict
    required: true
    suboptions:
      alias:
        description: The name of the key, at most 255 printable characters. It must be unique in LiteLLM.
        type: str
        required: true
      state:
        description: Whether the key should exist.
        type: str
        choices: [present, absent]
        default: present
      models:
        description: The models that the key may use, by the names that clients use. Not given or empty for all.
        type: list
        elements: str
      allowed_routes:
        description: LiteLLM's paths that the key may use, such as V(/v1/embeddings). Not given or empty for all.
        type: list
        elements: str
      max_budget:
        description: The largest spend, in USD.
        type: float
      budget_duration:
        description:
          - The time after which LiteLLM resets the spend to zero; a number and V(s), V(m), V(h), V(d), V(w) or
            V(mo), such as V(24h) or V(30d).
        type: str
      rpm_limit:
        description: Requests per minute, at least 1.
        type: int
      tpm_limit:
        description: Tokens per minute, at least 1.
        type: int
      max_parallel_requests:
        description: Requests at the same time, at least 1.
        type: int
      expires:
        description:
          - The date or time in UTC from which the key is refused, such as V(2027-01-31), the beginning of that day, or
            V(2027-01-31T12:00:00Z).
          - LiteLLM takes seconds from now, so differences of up to a minute are ignored. An expired key is not
            created.
        type: str
      metadata:
        description:
          - Data to store with the key, as JSON. It is shown in diffs.
          - Names that LiteLLM uses for its own settings (such as C(tags) or C(guardrails)) are rejected, and LiteLLM's
            values under these names are not changed.
        type: dict
      key:
        description: The value of the key, C(sk-) and at least 16 printable ASCII characters. Generated if not given.
        type: str
  exclusive_prefix:
    description: Keys whose alias begins with this text and is not in O(keys) are deleted.
    type: str
    default: ""
  values:
    description:
      - Alias to the value for a new key without O(keys[].key). The value of an existing key is not compared.
      - If given, even if empty, nothing is generated, RV(new_keys) is always empty, and creating a key without a value
        fails. Then the task needs no C(no_log).
    type: dict
  master_key_file:
    description: The file on the host with LiteLLM's master key.
    type: path
    default: /etc/inference-fleet/secrets/master_key
  container:
    description: The name of LiteLLM's container.
    type: str
    default: litellm
attributes:
  check_mode:
    support: full
    description: The same plan is returned; nothing is changed, generated or compared with O(values).
  diff_mode:
    support: full
    description: Shows the changes of each key, without the values of the keys.
notes:
  - The task needs C(no_log) where values are generated, since it returns them in RV(new_keys).
  - LiteLLM's worker processes cache keys for a minute. With several workers, a changed or removed key may work as
    before for that long.
seealso:
  - module: inference.fleet.virtual_key_file
"""

EXAMPLES = r"""
- name: Create a key, and register its value
  inference.fleet.litellm_key:
    keys:
      - alias: chatbot
        models: [qwen3-8b]
        max_budget: 20
        budget_duration: 30d
        rpm_limit: 60
        metadata: {team: support}
  register: made
  no_log: true # it returns the new key

- name: Create a key with a given value, and remove another key
  inference.fleet.litellm_key:
    keys:
      - alias: batch
        key: "{{ vault_batch_key }}"
        expires: 2027-01-31
      - alias: old-batch
        state: absent
    values: {}

- name: Show the planned changes
  inference.fleet.litellm_key:
    keys: "{{ fleet_keys }}"
  check_mode: true
  register: keys
"""

RETURN = r"""
actions:
  description: The applied steps, in order; in check mode the planned steps.
  returned: always
  type: list
  elements: str
  sample: ["create chatbot (missing)", "update batch (changed: max_budget, models)"]
missing:
  description: The aliases of keys that were, or in check mode would be, created without a value in O(keys).
  returned: always
  type: list
  elements: str
  sample: [chatbot]
tokens:
  description:
    - Alias to LiteLLM's identifier of the key, its SHA-256 in hex, for the keys of O(keys) that LiteLLM had before.
  returned: always
  type: dict
  sample: {batch: 221df437bc4f8c4d9718bd7a9ec4c1021c72fd69dfb2a5f568ecf4607c824bee}
others:
  description:
    - The keys that LiteLLM had before and whose alias is not in O(keys), sorted. A key without an alias is named by the
      beginning of its identifier. Keys of sessions in LiteLLM's web interface are left out.
  returned: always
  type: list
  elements: str
  sample: [fleet-metrics, tried-out, "221df437..."]
new_keys:
  description:
    - Alias to value of the keys that this task created and generated. No later run can return these values.
    - If LiteLLM did not answer a request, the key of the request is included, since it may have been created.
  returned: always
  type: dict
faults:
  description: The faults by alias, or under C(litellm) if LiteLLM stopped answering.
  returned: failure of an action
  type: dict
"""

from datetime import datetime, timezone
from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.gateway.converge import Outcome, converge
from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import expired, others, plan_keys
from ansible_collections.inference.fleet.plugins.module_utils.gateway.litellm import LiteLLM
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import STATES, parse_keys
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

KEY_SPEC = dict(
    alias=dict(type="str", required=True),
    state=dict(type="str", choices=list(STATES), default="present"),
    models=dict(type="list", elements="str"),
    allowed_routes=dict(type="list", elements="str"),
    max_budget=dict(type="float"),
    budget_duration=dict(type="str"),
    rpm_limit=dict(type="int"),
    tpm_limit=dict(type="int"),
    max_parallel_requests=dict(type="int"),
    expires=dict(type="str"),
    metadata=dict(type="dict"),
    key=dict(type="str", no_log=True),
)
SPEC = dict(
    keys=dict(type="list", elements="dict", required=True, options=KEY_SPEC, no_log=False),
    exclusive_prefix=dict(type="str", default=""),
    values=dict(type="dict", no_log=True),
    master_key_file=dict(type="path", default="/etc/inference-fleet/secrets/master_key", no_log=False),
    container=dict(type="str", default="litellm"),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="litellm_key")


def _work(module: AnsibleModule) -> None:
    try:
        desired = parse_keys(module.params["keys"])
        litellm = LiteLLM(Docker(), module.params["container"], module.params["master_key_file"])
        observed = litellm.keys()
        now = datetime.now(timezone.utc)
        prefix = module.params["exclusive_prefix"]
        plan_for = partial(plan_keys, desired=desired, now=now, exclusive_prefix=prefix)
        plan = plan_for(observed)
        outcome = Outcome() if module.check_mode else converge(plan, litellm, module.params["values"], plan_for)
    except FleetError as error:
        module.fail_json(msg=str(error))
    for warning in expired(desired, now):
        module.warn(warning)
    actions = plan.actions if module.check_mode else outcome.done
    aliases = {key.alias for key in desired}
    result = dict(
        changed=bool(actions),
        actions=list(map(str, actions)),
        missing=plan.missing,
        tokens={key.alias: key.token for key in observed if key.alias in aliases},
        others=others(observed, aliases),
        new_keys=outcome.new_keys,
        diff=plan.diff(),
    )
    if outcome.faults:
        module.fail_json(msg="\n".join(outcome.faults.values()), faults=outcome.faults, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

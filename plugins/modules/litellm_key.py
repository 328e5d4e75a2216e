#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_key
short_description: Keep LiteLLM's virtual keys as a list asks for
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Takes a list of virtual keys in one call, compares it with what LiteLLM has, and acts on the differences only. A key
    is known by its alias. Keys whose alias is not in the list are never touched.
  - LiteLLM is asked on the address that its container has in Docker's network, so it needs no port on the host. The
    module has to run as a user who may use Docker and read O(master_key_file), as root may.
  - An option of a key that is not given (any more) is LiteLLM's default, which is no limit.
  - LiteLLM shows the value of a key once, when it is made. It is generated here, unless O(keys[].key) or O(values) has
    one, and returned in RV(new_keys).
  - Where O(keys[].key) is not the value that the key in LiteLLM has, the key is deleted and made anew. What it has
    spent starts at nought then, and settings that O(keys) has no option for are LiteLLM's defaults.
  - After changes LiteLLM is asked once more. A key that is not as it was asked for then is a failure.
  - An action that fails stops only its own key; the others get their turn, and the task fails in the end.
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
        description: Its name, at most 255 printable characters. It must be unique in LiteLLM.
        type: str
        required: true
      state:
        description: Whether there is to be such a key.
        type: str
        choices: [present, absent]
        default: present
      models:
        description: The models that it opens, by the names that clients use. Not given or empty for all.
        type: list
        elements: str
      allowed_routes:
        description: The paths of LiteLLM that it opens, such as V(/v1/embeddings). Not given or empty for all.
        type: list
        elements: str
      max_budget:
        description: What it may spend, in USD.
        type: float
      budget_duration:
        description:
          - After which LiteLLM counts what is spent from nought again; a number and V(s), V(m), V(h), V(d), V(w) or
            V(mo), such as V(24h) or V(30d).
        type: str
      rpm_limit:
        description: Requests a minute, at least 1.
        type: int
      tpm_limit:
        description: Tokens a minute, at least 1.
        type: int
      max_parallel_requests:
        description: Requests at the same time, at least 1.
        type: int
      expires:
        description:
          - The date or time in UTC from which on it is refused, such as V(2027-01-31), which is the beginning of that
            day, or V(2027-01-31T12:00:00Z).
          - LiteLLM takes seconds from now, so a difference of up to a minute counts as none. A key whose time is over
            is not made.
        type: str
      metadata:
        description:
          - Anything to be kept with the key, as JSON. It is shown in diffs.
          - Names under which LiteLLM keeps settings of its own (such as C(tags) or C(guardrails)) are refused here, and
            what LiteLLM has under them is left alone.
        type: dict
      key:
        description: Its value, C(sk-) and at least 16 printable ASCII characters. Not given for one that is generated.
        type: str
  values:
    description:
      - Alias to the value that a key is made with where O(keys[].key) gives none. A key that there is already is not
        compared with it.
      - Where this is given, even if empty, nothing is generated, RV(new_keys) is always empty, and a key that is to be
        made and has no value fails. Then the task needs no C(no_log).
    type: dict
  master_key_file:
    description: The file on the host that holds LiteLLM's master key.
    type: path
    default: /etc/inference-fleet/secrets/master_key
  container:
    description: The name of LiteLLM's container.
    type: str
    default: litellm
attributes:
  check_mode:
    support: full
    description: The same plan is made and returned; nothing is changed, generated or compared with O(values).
  diff_mode:
    support: full
    description: Shows what changes of each key, without the keys themselves.
notes:
  - The task needs C(no_log) where values are generated, since it returns them in RV(new_keys).
  - LiteLLM's worker processes remember keys for a minute. With more than one of them a key that was changed or removed
    may work as before for that long.
seealso:
  - module: inference.fleet.virtual_key_file
"""

EXAMPLES = r"""
- name: Make a key, and keep what LiteLLM shows once
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

- name: Have a key with a value of one's own, and another one gone
  inference.fleet.litellm_key:
    keys:
      - alias: batch
        key: "{{ vault_batch_key }}"
        expires: 2027-01-31
      - alias: old-batch
        state: absent
    values: {}

- name: See what there is to do
  inference.fleet.litellm_key:
    keys: "{{ fleet_keys }}"
  check_mode: true
  register: keys
"""

RETURN = r"""
actions:
  description: The steps that were carried out, in their order; in check mode those that would be.
  returned: always
  type: list
  elements: str
  sample: ["create chatbot (missing)", "update batch (changed: max_budget, models)"]
missing:
  description: The aliases of keys that were, or in check mode would be, made and for which O(keys) has no value.
  returned: always
  type: list
  elements: str
  sample: [chatbot]
tokens:
  description:
    - Alias to the SHA-256 in hex, by which LiteLLM itself knows a key, of those keys of O(keys) that LiteLLM had
      before.
  returned: always
  type: dict
  sample: {batch: 221df437bc4f8c4d9718bd7a9ec4c1021c72fd69dfb2a5f568ecf4607c824bee}
new_keys:
  description:
    - Alias to value of the keys that this very task has made and generated. In no later run it can be had again.
    - If LiteLLM's answer to a request did not come, the key of that request is here too, since it may have been made.
  returned: always
  type: dict
faults:
  description: What went wrong, by alias, or under C(litellm) if that stopped answering.
  returned: failure of an action
  type: dict
"""

from datetime import datetime, timezone
from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.gateway.converge import Outcome, converge
from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import plan_keys
from ansible_collections.inference.fleet.plugins.module_utils.gateway.litellm import LiteLLM
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import STATES, parse_keys
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
    values=dict(type="dict", no_log=True),
    master_key_file=dict(type="path", default="/etc/inference-fleet/secrets/master_key", no_log=False),
    container=dict(type="str", default="litellm"),
)


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        desired = parse_keys(module.params["keys"])
        litellm = LiteLLM(Docker(), module.params["container"], module.params["master_key_file"])
        observed = litellm.keys()
        plan_for = partial(plan_keys, desired=desired, now=datetime.now(timezone.utc))
        plan = plan_for(observed)
        outcome = Outcome() if module.check_mode else converge(plan, litellm, module.params["values"], plan_for)
    except FleetError as error:
        module.fail_json(msg=str(error))
    actions = plan.actions if module.check_mode else outcome.done
    aliases = {key.alias for key in desired}
    result = dict(
        changed=bool(actions),
        actions=list(map(str, actions)),
        missing=plan.missing,
        tokens={key.alias: key.token for key in observed if key.alias in aliases},
        new_keys=outcome.new_keys,
        diff=plan.diff(),
    )
    if outcome.faults:
        module.fail_json(msg="\n".join(outcome.faults.values()), faults=outcome.faults, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

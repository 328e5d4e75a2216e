#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: model_answers
short_description: Check that models answer a request of a client
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Sends each model one small request over HTTPS to Caddy on the host, with the host's master key, as a client would;
    all models at once. Fails if a model does not answer it.
  - A chat or vision model generates one token, an embedding model computes one vector, an stt model gets 0.2 seconds
    of silence, a tts model speaks one word, and an image model makes one image of 256 by 256 pixels in two steps. Chat,
    vision and embedding models are asked through LiteLLM, the others by their direct route.
  - A model that works but needs another request, such as a chat model without a chat template or a reranker, passes if
    its engine says so.
options:
  url:
    description: The base URL of the host for clients.
    type: str
    required: true
  address:
    description: The address at which the module reaches Caddy.
    type: str
    default: 127.0.0.1
  ca:
    description:
      - The certificates that sign Caddy's certificate, as PEM text. Without O(ca) and O(ca_file), those of the system.
    type: str
  ca_file:
    description: A file on the host with these certificates, or with Caddy's own certificate.
    type: path
  key_file:
    description: The file on the host that has the key.
    type: path
    required: true
  models:
    description:
      - The models. Each has C(name), C(type) and C(in_gateway), as in the fact C(fleet). Other keys have no effect.
    type: list
    elements: dict
    required: true
  timeout:
    description: Seconds to wait at most for each answer. The first answer of an engine may take long.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    description: Sends nothing.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Request one answer of each running model
  inference.fleet.model_answers:
    url: "{{ fleet.base_url }}"
    key_file: "{{ fleet.paths.secrets }}/master_key"
    models: "{{ fleet.models | selectattr('state', 'eq', 'running') }}"
"""

RETURN = r"""
faults:
  description: Why a model did not answer, by its name.
  returned: always, except in check mode
  type: dict
  sample: {qwen3-8b: "answered 503: no replica accepts connections"}
"""

import ssl
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.client import Client
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import DIRECT_TYPES
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run

SPEC = dict(
    url=dict(type="str", required=True),
    address=dict(type="str", default="127.0.0.1"),
    ca=dict(type="str"),
    ca_file=dict(type="path"),
    key_file=dict(type="path", required=True, no_log=False),
    models=dict(type="list", elements="dict", required=True),
    timeout=dict(type="int", default=300),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    given = module.params
    if module.check_mode or not given["models"]:
        module.exit_json(faults={})
    try:
        with open(given["key_file"]) as file:
            key = file.read().strip()
        client = Client(given["url"], key, given["timeout"], given["ca"], given["ca_file"], given["address"])
    except (OSError, ssl.SSLError) as error:
        module.fail_json(msg=f"no model was asked: {error}")
    with ThreadPoolExecutor(len(given["models"])) as pool:
        asked = pool.map(
            lambda one: client.fault(one["type"], one["name"], one["type"] not in DIRECT_TYPES), given["models"]
        )
        faults = {model["name"]: fault for model, fault in zip(given["models"], asked) if fault}
    if faults:
        lines = "\n".join(f"{name}: {fault}" for name, fault in faults.items())
        module.fail_json(msg=f"models of this host do not answer at {given['url']}:\n{lines}", faults=faults)
    module.exit_json(faults={})


if __name__ == "__main__":
    main()

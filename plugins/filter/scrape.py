# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: scrape
short_description: The targets of Prometheus and the modules of the Blackbox exporter
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - One target for each replica of each running model, and one for each name that clients call the host by.
positional: _input
options:
  _input:
    description: The fact C(fleet) of M(inference.fleet.validate).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the scrape targets of the models
  inference.fleet.host_files:
    files:
      - path: /etc/inference-fleet/prometheus/targets/vllm.json
        content: "{{ (fleet | inference.fleet.scrape).models | to_nice_json }}"
"""

RETURN = r"""
_value:
  description:
    - C(models) and C(certificates) are groups of targets for C(file_sd_configs) of Prometheus. A model's labels are
      C(model), C(replica), C(type), and the container's name as C(instance).
    - C(modules) are modules of the Blackbox exporter, one for each name of C(certificates).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import (
    certificate_modules,
    certificate_targets,
    model_targets,
)
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"scrape": _scrape}


@raising(AnsibleFilterError)
def _scrape(fleet: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "models": model_targets(fleet["models"]),
        "certificates": certificate_targets(fleet["https"]),
        "modules": certificate_modules(fleet["https"]),
    }

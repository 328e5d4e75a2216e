# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: model_targets
short_description: The Prometheus targets of the models
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns one target group for each replica of each model with state V(running), with the labels C(model),
    C(replica), C(type), and C(instance), which is the container's name.
positional: _input
options:
  _input:
    description: C(models) of the fact C(fleet) of M(inference.fleet.validate).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the targets of the models
  inference.fleet.host_files:
    files:
      - path: /etc/inference-fleet/prometheus/targets/vllm.json
        content: "{{ fleet.models | inference.fleet.model_targets | to_nice_json }}"
"""

RETURN = r"""
_value:
  description: Target groups, in the form of C(file_sd_configs).
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import model_targets


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"model_targets": model_targets}

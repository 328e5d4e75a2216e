# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: model_targets
short_description: What Prometheus scrapes of the models
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - One group for each replica of each model that is to run, with the labels C(model), C(replica) and C(type), and the
    container's name as C(instance).
positional: _input
options:
  _input:
    description: Models, as the fact C(fleet) of M(inference.fleet.validate) has them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell Prometheus which models there are
  inference.fleet.host_files:
    files:
      - path: /etc/inference-fleet/prometheus/targets/vllm.json
        content: "{{ fleet.models | inference.fleet.model_targets | to_nice_json }}"
"""

RETURN = r"""
_value:
  description: Groups of targets, as C(file_sd_configs) take them.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import model_targets


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"model_targets": model_targets}

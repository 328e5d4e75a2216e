# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: gpu_models_text
short_description: Which model runs on which GPU, as Prometheus reads it
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - One series for each GPU and each GPU instance, with the labels that the DCGM exporter has for it, to join them.
positional: _input
options:
  _input:
    description: C(devices) of M(inference.fleet.gpu_info).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Have the node exporter hand on which model runs where
  inference.fleet.host_files:
    files:
      - path: /var/lib/inference-fleet/metrics/gpus.prom
        content: "{{ gpus.devices | inference.fleet.gpu_models_text }}"
        mode: "0644"
"""

RETURN = r"""
_value:
  description: The text of a file of metrics.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import gpu_models_text


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gpu_models_text": gpu_models_text}

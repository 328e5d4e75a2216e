# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: gpu_models_text
short_description: The models on each GPU, in the text format of Prometheus
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns one series for each GPU and each GPU instance, with the labels of the DCGM exporter, so that a query can
    join the series of both.
positional: _input
options:
  _input:
    description: C(devices) of M(inference.fleet.gpu_info).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the metrics of the models on each GPU
  inference.fleet.host_files:
    files:
      - path: /var/lib/inference-fleet/metrics/gpus.prom
        content: "{{ gpus.devices | inference.fleet.gpu_models_text }}"
        mode: "0644"
"""

RETURN = r"""
_value:
  description: The content of a metrics file.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import gpu_models_text


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gpu_models_text": gpu_models_text}

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_targets
short_description: The names whose certificates Prometheus looks at
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - One group for each name that clients call the host by, for the Blackbox exporter.
positional: _input
options:
  _input:
    description: C(https) of the fact C(fleet) of M(inference.fleet.validate).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell Prometheus which certificates there are
  inference.fleet.host_files:
    files:
      - path: /etc/inference-fleet/prometheus/targets/certificate.json
        content: "{{ fleet.https | inference.fleet.certificate_targets | to_nice_json }}"
"""

RETURN = r"""
_value:
  description: Groups of targets, as C(file_sd_configs) take them.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import certificate_targets


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"certificate_targets": certificate_targets}

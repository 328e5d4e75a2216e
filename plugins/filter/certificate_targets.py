# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_targets
short_description: The names whose certificates Prometheus checks
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns one target group for each name of the host in C(fleet_https), for the Blackbox exporter.
positional: _input
options:
  _input:
    description: C(https) of the fact C(fleet) of M(inference.fleet.validate).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the targets of the certificate checks
  inference.fleet.host_files:
    files:
      - path: /etc/inference-fleet/prometheus/targets/certificate.json
        content: "{{ fleet.https | inference.fleet.certificate_targets | to_nice_json }}"
"""

RETURN = r"""
_value:
  description: Target groups, in the form of C(file_sd_configs).
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import certificate_targets


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"certificate_targets": certificate_targets}

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_modules
short_description: Modules of the Blackbox exporter that check certificates
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns one module of the Blackbox exporter for each name of the host in C(fleet_https).
positional: _input
options:
  _input:
    description: C(https) of the fact C(fleet) of M(inference.fleet.validate).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the configuration of the Blackbox exporter
  inference.fleet.host_files:
    files:
      - path: /etc/inference-fleet/blackbox-exporter/blackbox.yml
        content: "{{ {'modules': fleet.https | inference.fleet.certificate_modules} | to_nice_yaml }}"
"""

RETURN = r"""
_value:
  description: Module name to module.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import certificate_modules


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"certificate_modules": certificate_modules}

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: program_digest
short_description: The digest of a program of this collection
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns a digest of a module and of everything in this collection that it imports, directly or indirectly. A service
    that runs the module must be restarted when the digest changes.
options:
  _terms:
    description: Names of modules, relative to the collection.
    required: true
"""

EXAMPLES = r"""
- name: Show the version of the energy sampler
  ansible.builtin.debug:
    msg: "{{ lookup('inference.fleet.program_digest', 'plugins.module_utils.energy.sampler') }}"
"""

RETURN = r"""
_raw:
  description: A digest for each name.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.inference.fleet.plugins.plugin_utils.collection_archive import digest
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising
from ansible_collections.inference.fleet.plugins.plugin_utils.program import program_files


class LookupModule(LookupBase):
    @raising(AnsibleLookupError)
    def run(self, terms: Any, variables: Any = None, **kwargs: Any) -> list[str]:
        return [digest(program_files(term, Path(__file__).parents[2])) for term in terms]

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: backup_secrets
short_description: The secrets of a host from a backup
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns the secrets of a file that M(inference.fleet.host_backup) has written, in the form that
    M(inference.fleet.host_secrets) takes.
  - As a lookup, its value is in no task result; the task that uses it needs C(no_log).
options:
  _terms:
    description: The file's path.
    required: true
  vault_password_file:
    description: As of M(inference.fleet.host_backup).
    type: path
seealso:
  - module: inference.fleet.host_backup
  - module: inference.fleet.host_secrets
"""

EXAMPLES = r"""
- name: Write the secrets of the backup
  inference.fleet.host_secrets:
    path: /etc/inference-fleet/secrets
    given: "{{ lookup('inference.fleet.backup_secrets', file) }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: Name to value, as one dictionary.
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.inference.fleet.plugins.plugin_utils.backup_file import Vault, read
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class LookupModule(LookupBase):
    @raising(AnsibleLookupError)
    def run(self, terms: Any, variables: Any = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        vault = Vault(self._loader, self.get_option("vault_password_file"))
        return [dict(read(Path(str(terms[0])).expanduser(), vault).secrets)]

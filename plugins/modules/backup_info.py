# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: Read a backup on the machine that runs Ansible, and check whether it belongs to this host
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Decrypts a file that M(inference.fleet.host_backup) has written, and compares its parts with the recorded digests.
    Fails if the file is truncated, damaged, not a backup, of a newer format, or if no given password decrypts it.
  - Fails if the backup is of another host, or if the inventory gives another salt key than the backup's.
  - Returns no secret. Runs on the controller; no host is contacted.
options:
  path:
    description: The file.
    type: path
    required: true
  other_host:
    description: Whether the backup may be of a host with another name.
    type: bool
    default: false
  vault_password_file:
    description: As of M(inference.fleet.host_backup).
    type: path
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.backup_load
"""

EXAMPLES = r"""
- name: Read the backup before any change
  inference.fleet.backup_info:
    path: .fleet-backups/gpu1.example.com-20261124T024011Z.fleet-backup
  register: backup
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
in_words:
  description: The host and the time of the backup, as a sentence.
  returned: success
  type: str
  sample: gpu1.example.com as it was on 2026-11-24 at 02:40:11 UTC, PostgreSQL 15.19
about:
  description: The same as separate values.
  returned: success
  type: dict
  contains:
    host:
      description: The host's name in the inventory.
      type: str
    made:
      description: The time of the backup, in UTC.
      type: str
      sample: 20261124T024011Z
    postgres:
      description: The version of the database's server.
      type: str
    collection:
      description: The version of this collection.
      type: str
    spend_logs:
      description: Whether the backup has the rows of C(LiteLLM_SpendLogs).
      type: bool
secrets:
  description: The names of the secrets in the backup.
  returned: success
  type: list
  elements: str
"""

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_load
short_description: Read the database of a backup into a new database beside the one in use
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - C(pg_restore) reads the dump of a file that M(inference.fleet.host_backup) has written into the database
    C(litellm_restored), in one transaction that ends with the first error. The database in use is left alone, and
    LiteLLM may go on with it meanwhile.
  - A database of that name, which a run that was cut off has left, is made anew.
  - Fails where PostgreSQL on the host is of an older major version than the one that the dump was taken from.
options:
  path:
    description: The file on the controller.
    type: path
    required: true
  vault_password_file:
    description: As of M(inference.fleet.host_backup).
    type: path
attributes:
  action:
    support: full
    description: The file is read on the controller.
  check_mode:
    support: full
    description: Nothing is read or made.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.host_backup
  - module: inference.fleet.backup_info
"""

EXAMPLES = r"""
- name: Read the backup into a database beside the one in use
  inference.fleet.backup_load:
    path: .fleet-backups/gpu1.example.com-20261124T024011Z.fleet-backup
  register: restored
"""

RETURN = r"""
database:
  description: The new database.
  returned: success
  type: str
  sample: litellm_restored
before:
  description: What the database in use is to be called once the new one has taken its place.
  returned: success
  type: str
  sample: litellm_before_20261124_024011
empty_before:
  description: Whether the database in use has no table, so that nothing is lost with it.
  returned: success
  type: bool
"""

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
    C(litellm_restored), in one transaction that is rolled back at the first error. The database in use does not
    change, and LiteLLM can use it meanwhile.
  - The dump goes to C(/var/lib/inference-fleet/.database.dump) on the host, which only root can read, in parts of 8
    MiB, and is removed after the load.
  - The role C(litellm) loads the dump and owns the new database. The role C(fleet_admin) must exist; the entry point
    C(owner) of the role C(postgres) creates it.
  - A database C(litellm_restored) that an interrupted run left is recreated.
  - Fails if PostgreSQL on the host has an older major version than the PostgreSQL of the dump.
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
    description: Nothing is read or created.
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
  description: The new name of the database in use once the restored one replaces it.
  returned: success
  type: str
  sample: litellm_before_20261124_024011
empty_before:
  description: Whether the database in use has no table, so that replacing it loses nothing.
  returned: success
  type: bool
"""

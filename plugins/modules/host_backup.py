# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_backup
short_description: Back up the database and the secrets of a host, encrypted, on the machine that runs Ansible
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Takes a dump of LiteLLM's database (C(pg_dump) in the custom format) and the host's secrets, and writes both to one
    file on the controller, HOST-YYYYmmddTHHMMSSZ.fleet-backup, mode 0600, encrypted by Ansible Vault. Without a
    password nothing is written.
  - The database's C(pg_restore) reads the whole dump. The file is read back from the disk, decrypted and compared. Then
    the file is renamed to its final name, and backups of the same host beyond O(keep) are removed.
  - The dump is written to C(/var/lib/inference-fleet/.database.dump) on the host, which only root can read, fetched in
    parts of 8 MiB, and removed. The controller never stores it unencrypted, and has only a part of it in memory.
  - If the dump with the spend logs is larger than O(max_mb), or than half of the host's free space, the backup is made
    without them, with a warning.
options:
  folder:
    description: The folder on the controller; it is created (0700) if it is missing.
    type: path
    required: true
  keep:
    description: The number of backups of the host to keep.
    type: int
    required: true
  spend_logs:
    description: Whether to include the rows of C(LiteLLM_SpendLogs).
    type: bool
    required: true
  max_mb:
    description: The largest dump to accept, in MB (10^6 bytes). A larger one without spend logs is a failure.
    type: int
    required: true
  config_folder:
    description: The folder of the host's configuration, which contains C(secrets).
    type: path
    required: true
  vault_password_file:
    description:
      - A file with the password, or a program that prints it. By default the password given to C(ansible-playbook).
    type: path
  copy:
    description:
      - Whether a run without a Vault password, instead of failing, copies the database, without the rows of
        C(LiteLLM_SpendLogs), to the database C(litellm_before_migrations) of the same PostgreSQL. The copy replaces the
        previous one.
    type: bool
    default: false
attributes:
  action:
    support: full
    description: The file is written on the controller.
  check_mode:
    support: full
    description: Reads the version of the database; writes and removes nothing.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.backup_load
"""

EXAMPLES = r"""
- name: Back up every host
  inference.fleet.host_backup:
    folder: "{{ inventory_dir }}/.fleet-backups"
    keep: 14
    spend_logs: false
    max_mb: 100
    config_folder: /etc/inference-fleet
"""

RETURN = r"""
path:
  description: The file; empty if the database was copied instead.
  returned: success
  type: str
database:
  description: The name of the copy; empty if a file was written.
  returned: success
  type: str
size:
  description: The size of the file in bytes; null in check mode, and for a copy.
  returned: success
  type: int
postgres:
  description: The version of the database's server.
  returned: success
  type: str
  sample: "15.19"
spend_logs:
  description: Whether the backup has the rows of C(LiteLLM_SpendLogs).
  returned: success
  type: bool
removed:
  description: Backups that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
"""

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
  - Takes a dump of LiteLLM's database (C(pg_dump) in its custom format) and the host's secrets, and writes them to one
    file on the controller, HOST-YYYYmmddTHHMMSSZ.fleet-backup, mode 0600, encrypted by Ansible Vault. Without a
    password nothing is written.
  - The file is read back from the disk, decrypted and compared, and C(pg_restore) of the database itself reads the dump
    from end to end. After that the file gets its name, and backups of the same host beyond O(keep) are removed.
  - The dump goes through the connection alone. Neither the host nor the controller ever has it in a file that is not
    encrypted.
  - Ansible Vault holds everything in memory; let hosts take turns (C(throttle=1)).
options:
  folder:
    description: The folder on the controller; it is made (0700) if it is missing.
    type: path
    required: true
  keep:
    description: How many backups of the host are kept.
    type: int
    required: true
  spend_logs:
    description: Whether the rows of C(LiteLLM_SpendLogs) are in it.
    type: bool
    required: true
  max_mb:
    description: The largest dump that is taken, in MB (10^6 bytes).
    type: int
    required: true
  config_folder:
    description: The folder of the host's configuration, in which C(secrets) is.
    type: path
    required: true
  vault_password_file:
    description:
      - A file with the password, or a program that prints it. Not given, it is the one that C(ansible-playbook) was
        given.
    type: path
attributes:
  action:
    support: full
    description: The file is written on the controller.
  check_mode:
    support: full
    description: The database is asked for its version, and nothing is written or removed.
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
  throttle: 1
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
size:
  description: Its bytes; null in check mode.
  returned: success
  type: int
postgres:
  description: The version of the database's server.
  returned: success
  type: str
  sample: "15.18"
removed:
  description: Backups that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
"""

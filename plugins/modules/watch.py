# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: watch
short_description: Observe a host until the run is ended
version_added: 0.3.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Runs M(inference.fleet.host_state) again and again. It waits on the host for Docker's events, so a change is known
    within seconds. Changes nothing, and does not take the host's lock.
  - With O(dest), writes each observation of the host to a file, for a program. Without it, prints a line for each
    change.
  - A host that cannot be reached or read is an observation with C(fault), and is tried again after 2, 4, 8, 16 and
    30 seconds; after a refused login or password, after five minutes. The task never fails for such a host.
  - The task ends when the run is ended (Ctrl-C, SIGTERM), or the folder O(dest) is removed. Each host needs a fork of
    its own, so C(forks) must be at least the number of hosts, and the play needs C(strategy=free).
options:
  dest:
    description:
      - A folder on the controller for the file C(HOST.json). It is created, for the user alone, if it does not exist.
        The file is replaced as a whole and has mode 0600. Characters of a host's name that are not allowed in a file
        name are written as in a URL; the document contains the name.
      - docs/status.md, "Watching", describes the document.
    type: path
  seconds:
    description:
      - How long one call waits for a change, from 1 to 60. The figures of GPUs and the rates are at most that old. On a
        host without GPUs and monitoring, which has neither, at least 30.
    type: float
    default: 10
attributes:
  action:
    support: full
    description: Runs M(inference.fleet.host_state) on the host.
  check_mode:
    support: full
    description: Never changes anything on the host.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.host_state
  - module: inference.fleet.status
"""

EXAMPLES = r"""
- name: Watch all hosts
  hosts: fleet
  become: true
  gather_facts: false
  strategy: free
  tasks:
    - name: Print what changes on the host
      inference.fleet.watch:

- name: Watch all hosts for a program
  hosts: fleet
  become: true
  gather_facts: false
  strategy: free
  tasks:
    - name: Write what changes on the host
      inference.fleet.watch:
        dest: /run/user/1000/fleet
"""

RETURN = r""" # """

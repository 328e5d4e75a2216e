# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: service_container
short_description: Manage the container of a service under the lock of the host
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Runs M(community.docker.docker_container) with the options of the task, which are those of that module.
  - If the task names an C(image), the default of C(security_opts) is C([no-new-privileges]), so that programs with
    setuid or file capabilities give a process in the container nothing.
  - If the run has taken the lock of the host with M(inference.fleet.host_lock), the task waits a minute for another
    module of this collection that changes containers or GPUs, and fails if that module still works, or if the run does
    not hold the lock of the host any more.
options: {}
attributes:
  action:
    support: full
    description: Runs another module on the host.
  check_mode:
    support: full
    description: As M(community.docker.docker_container); the lock is not checked.
  diff_mode:
    support: full
    description: As M(community.docker.docker_container).
requirements:
  - flock (util-linux) on the host
seealso:
  - module: community.docker.docker_container
  - module: inference.fleet.host_lock
"""

EXAMPLES = r"""
- name: Stop LiteLLM
  inference.fleet.service_container:
    name: litellm
    state: stopped
"""

RETURN = r"""
container:
  description: The container, as M(community.docker.docker_container) returns it.
  returned: success
  type: dict
"""

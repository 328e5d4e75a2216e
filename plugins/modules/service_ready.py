#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: service_ready
short_description: Wait until a container's health check succeeds
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Waits until the container's health check succeeds. The module runs the check itself, more often than Docker does.
    If the container dies or is not healthy in time, the task fails with the end of the container's log in the message.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
options:
  name:
    description: The container. It must have a health check.
    type: str
    required: true
  timeout:
    description: Seconds to wait at most.
    type: int
    required: true
  gave_up:
    description:
      - The output of the health check that means that the container will not become ready without a restart.
      - Only checks that end during the wait count.
    type: str
    default: ""
  hopeless_fails:
    description: Whether the task fails if RV(hopeless) is not empty.
    type: bool
    default: true
  remember:
    description:
      - The name under which the host remembers how long this start took, for M(inference.fleet.service_takeover).
      - A container that is ready at once may have been ready for long; its start is not remembered.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Does not wait, since check mode does not create a missing container.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Wait until PostgreSQL answers
  inference.fleet.service_ready:
    name: postgres
    timeout: 300

- name: Check whether LiteLLM becomes ready or needs a restart
  inference.fleet.service_ready:
    name: litellm
    timeout: 600
    gave_up: Not connected
    hopeless_fails: false
  register: litellm
"""

RETURN = r"""
hopeless:
  description:
    - Why the container will not become ready, with the end of its log; it died, or its health check printed O(gave_up).
    - Empty if the container is ready or only slow.
  returned: always, except in check mode
  type: str
"""

import calendar
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Container
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import Hopeless, wait_until_ready
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.engine.starts import write_starts
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    name=dict(type="str", required=True),
    timeout=dict(type="int", required=True),
    gave_up=dict(type="str", default=""),
    hopeless_fails=dict(type="bool", default=True),
    remember=dict(type="str", default=""),
)
WAITED_S = 1  # less is no wait


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    if module.check_mode:
        module.exit_json()
    given = module.params
    began = time.monotonic()
    try:
        docker = Docker()
        fault = wait_until_ready(
            given["name"],
            docker,
            docker.is_well,
            given["timeout"],
            gave_up=given["gave_up"],
        )
        if given["remember"] and not fault and time.monotonic() - began > WAITED_S:
            write_starts({given["remember"]: _seconds_since(docker.inspect(given["name"]))})
    except FleetError as error:
        fault = str(error)
    hopeless = fault if isinstance(fault, Hopeless) else ""
    if fault and (given["hopeless_fails"] or not hopeless):
        module.fail_json(msg=fault, hopeless=hopeless)
    module.exit_json(hopeless=hopeless)


def _seconds_since(container: Container | None) -> float:
    """Since the start of the container."""
    started = container.started_at if container else ""
    return time.time() - calendar.timegm(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S")) if started else 0


if __name__ == "__main__":
    main()

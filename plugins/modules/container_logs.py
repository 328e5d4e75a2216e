#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: container_logs
short_description: Print the logs of the containers of a model or a service
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Prints the lines of the containers of this collection in the order of their time, each with the host and the
    container. Changes nothing.
  - Characters that control a terminal are printed as C(?).
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
options:
  model:
    description: Only the containers of this model.
    type: str
  service:
    description: Only the container of this service, such as V(litellm) or V(caddy).
    type: str
  lines:
    description:
      - How many of the last lines of each container, before O(grep). 0 for all. Default is 100, or all with O(since).
    type: int
  since:
    description: "Only lines since then: V(90s), V(10m), V(2h) or V(3d) ago, or a time in RFC 3339."
    type: str
  grep:
    description: Only lines that contain this regular expression of Python.
    type: str
    default: ""
  follow:
    description: Print new lines until the run is interrupted.
    type: bool
    default: false
  after:
    description: The last time of each container that was printed before. The action plugin sets this option.
    type: dict
    default: {}
attributes:
  action:
    support: full
    description: Runs the module on the host, with O(follow) every two seconds, and prints on the controller.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Print what LiteLLM logged in the last ten minutes
  inference.fleet.container_logs:
    service: litellm
    since: 10m

- name: Follow the errors of a model
  inference.fleet.container_logs:
    model: qwen3-8b
    grep: ERROR
    follow: true
"""

RETURN = r"""
containers:
  description: The containers whose logs were read.
  returned: success
  type: list
  elements: str
  sample: [vllm-qwen3-8b-1]
lines:
  description: The lines, each as a list of the container and the text.
  returned: success
  type: list
  elements: list
after:
  description: The last time of each container, for O(after).
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.report.logs import merged, seconds_of
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    model=dict(type="str"),
    service=dict(type="str"),
    lines=dict(type="int"),
    since=dict(type="str"),
    grep=dict(type="str", default=""),
    follow=dict(type="bool", default=False),
    after=dict(type="dict", default={}),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    given = module.params
    labels = {"model-name": given["model"], "service": given["service"]}
    since = int(given["since"] or 0)  # the action plugin has turned it into seconds since 1970
    lines = given["lines"] if given["lines"] is not None else 0 if since else 100
    after = {name: str(time) for name, time in given["after"].items()}
    try:
        docker = Docker()
        names = docker.named({label: value for label, value in labels.items() if value})
        logs = {
            name: docker.timed_lines(name, seconds_of(after[name]), 0)
            if name in after
            else docker.timed_lines(name, since, lines)
            for name in names
        }
        found, after = merged(logs, after, given["grep"])
    except FleetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(containers=names, lines=found, after=after)


if __name__ == "__main__":
    main()

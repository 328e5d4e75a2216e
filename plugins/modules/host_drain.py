#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_drain
short_description: Refuse new requests for the models of a host, and wait for those under way
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - While O(path) exists, Caddy answers requests for models with status 503 and C(Retry-After). Caddy looks the file up
    at each request, so nothing is reloaded, and a drain lasts over restarts, reboots and the playbook C(install).
  - With O(state=drained) the task then waits until no model container has a connection of a client, at most O(timeout)
    seconds. Streams go on to their end. No container is stopped.
  - If Caddy answers other than on a drained host, the file is removed and the task fails.
options:
  state:
    description: V(drained) refuses requests, V(serving) accepts them.
    type: str
    choices: [drained, serving]
    required: true
  path:
    description: The file, in the folder that Caddy reads. Its text is the time of the drain.
    type: path
    required: true
  metrics:
    description: A file for Prometheus with the time of the drain. It exists while the host is drained.
    type: path
    required: true
  name:
    description: A name or address of C(fleet_https.names), under which Caddy is asked whether it refuses requests.
    type: str
    required: true
  timeout:
    description: Seconds to wait for the requests under way.
    type: int
    default: 120
attributes:
  action:
    support: full
    description: Adds the run that holds the lock of the host.
  check_mode:
    support: full
    description: Writes nothing, and waits for nothing.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Drain the host
  inference.fleet.host_drain:
    state: drained
    path: /etc/inference-fleet/caddy/drained
    metrics: /var/lib/inference-fleet/metrics/drained.prom
    name: gpu1.example.com
"""

RETURN = r"""
since:
  description: Since when the host is drained; empty if it is not.
  returned: success
  type: str
  sample: "2026-11-24T12:00:00Z"
left:
  description: The containers that still have connections, with their number. Empty if all requests have ended.
  returned: success
  type: dict
  sample: {vllm-qwen3-8b-1: 2}
text:
  description: What happened, for a person.
  returned: success
  type: str
  sample: "drained since 2026-11-24T12:00:00Z; no request of a client is under way"
"""

import time
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.gateway import front
from ansible_collections.inference.fleet.plugins.module_utils.gateway.host_drain import (
    left_text,
    metrics,
    since_text,
    wait_for_requests,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import drained_since
from ansible_collections.inference.fleet.plugins.module_utils.system.drain import connections
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

SPEC = dict(
    state=dict(type="str", choices=["drained", "serving"], required=True),
    path=dict(type="path", required=True),
    metrics=dict(type="path", required=True),
    name=dict(type="str", required=True),
    timeout=dict(type="int", default=120),
)
SETTLE_SECONDS = 1  # for requests that Caddy has accepted and not passed on yet
POLL_SECONDS = 0.2
TO_DO = "run install first"


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    given = module.params
    path, metric = Path(given["path"]), Path(given["metrics"])
    since = drained_since(path.read_text() if path.exists() else None)
    if given["state"] == "serving":
        if not module.check_mode:
            path.unlink(missing_ok=True)
            metric.unlink(missing_ok=True)
        text = f"was drained since {since}; accepts requests" if since else "was not drained"
        module.exit_json(changed=bool(since), since="", left={}, text=text)
    if not path.parent.is_dir():
        raise FleetError(f"{path.parent}: expected the folder of Caddy's configuration, found none; {TO_DO}")
    begins = since or since_text(time.time())
    if module.check_mode:
        module.exit_json(changed=not since, since=begins, left={}, text=f"drained since {begins}")
    lines = [f"drained since {begins}", *_drain(path, metric, begins, given["name"])]
    time.sleep(SETTLE_SECONDS)
    left = wait_for_requests(
        front.servers(),
        lambda one: connections(one.process, one.port),
        given["timeout"],
        time.monotonic,
        lambda: time.sleep(POLL_SECONDS),
    )
    text = "; ".join([*lines, left_text(left, given["timeout"])])
    module.exit_json(changed=not since, since=begins, left=left, text=text)


def _drain(path: Path, metric: Path, since: str, name: str) -> list[str]:
    """Returns what the admin should know."""
    put(str(path), f"{since}\n")
    refuses = front.refuses(name)
    if refuses is False:
        with suppress(OSError):
            path.unlink()
        raise FleetError(
            f"{path}: expected Caddy to refuse requests for models while this file exists, but Caddy accepts them: its "
            f"configuration is of a previous version of the collection; the host is not drained; {TO_DO}"
        )
    metric.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    put(str(metric), metrics(since, time.time()), 0o644)
    return [] if refuses else ["Caddy does not answer"]


if __name__ == "__main__":
    main()

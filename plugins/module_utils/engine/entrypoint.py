# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first process of a model container: runs `vllm serve`, and decides with its exit code whether Docker starts the
container again.

The restart policy `on-failure` starts a container again if it ends with another code than 0. But vLLM ends with 0 when
its engine core dies (vllm-project/vllm #48966), and a model that dies at each start would restart for ever. So this
script ends with

- 0 if it was stopped, so that Docker does not start a model at boot that a shutdown stopped: its GPU may lack its MIG
  devices until the restore unit has created them;
- 1 if vLLM ended with 0 without being stopped, else with vLLM's own code;
- 0 after MOST deaths within SECONDS, or in succession before vLLM listened on its port (vLLM listens when the model is
  loaded, which can take longer than SECONDS), with the reason in the log. The next start, by whomever, begins to count
  again.

The deaths are in a file of the container's own file system, so that a new container starts without them: a line each,
with the time, and `served` if vLLM had listened. A start after a death waits first, twice as long as the start before.
"""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT

MOST, SECONDS, FIRST_WAIT = 5, 600, 5
GAVE_UP = f"vLLM died {MOST} times within {SECONDS // 60} minutes, or before it served"


def script(deaths: str = "/tmp/inference-fleet-deaths", first_wait: int = FIRST_WAIT, port: int = ENGINE_PORT) -> str:
    """deaths: the file of the deaths. first_wait: seconds. port: on which vLLM listens."""
    return f"""\
say() {{
  echo "inference-fleet: $*" >&2
}}
stopped() {{
  rm -f {deaths}
  exit 0
}}
recent() {{
  count=0 before=0 since=$(($(date +%s) - {SECONDS}))
  while read -r at served; do
    [ "$at" -le "$since" ] || count=$((count + 1))
    [ -z "$served" ] && before=$((before + 1)) || before=0
  done < {deaths}
  [ "$before" -le "$count" ] || count=$before
}} 2> /dev/null
recent
if [ "$count" -gt 0 ]; then
  pause={first_wait} left=$count
  while [ "$((left -= 1))" -gt 0 ]; do
    pause=$((pause * 2))
  done
  trap stopped TERM INT
  say "starts again in $pause s, after death $count"
  while [ "$((pause -= 1))" -ge 0 ]; do
    sleep 1
  done
fi
rm -f {deaths}-served
# Without a trap, which vLLM's process would have too until it is vLLM, and lose the signal.
trap - TERM INT
vllm serve "$@" &
vllm=$! asked=''
# State 0A in /proc/net/tcp: listens (the kernel's include/net/tcp_states.h).
while kill -0 "$vllm"; do
  if grep -Eqs ':{port:04X} 0+:0000 0A ' /proc/net/tcp /proc/net/tcp6; then
    echo served > {deaths}-served
    break
  fi
  sleep 1
done > /dev/null 2>&1 &
trap 'asked=yes; kill -TERM "$vllm" 2> /dev/null' TERM INT
# A signal interrupts `wait`. The shell keeps the status of a vLLM that has ended.
while true; do
  wait "$vllm"
  status=$?
  kill -0 "$vllm" 2> /dev/null || break
done
[ -z "$asked" ] || stopped
echo "$(date +%s) $(cat {deaths}-served 2> /dev/null)" >> {deaths}
recent
say "vLLM ended with status $status by itself"
if [ "$count" -ge {MOST} ]; then
  say "{GAVE_UP}: the container stays down; find the cause above, then run install"
  stopped
fi
[ "$status" -ne 0 ] || exit 1
exit "$status"
"""


ENTRYPOINT = ("/bin/sh", "-c", script(), "vllm serve")

"""PostgreSQL is killed while keys are created: every key that LiteLLM acknowledged exists afterwards."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import Promise
from lab.fixtures import SECRETS, address

# Runs on the host: creates keys in parallel, kills `pid` after `count` acknowledged keys, and continues until
# `count` more. Prints the acknowledged keys and the number of refused requests.
MAKE_KEYS = """
import json, os, sys, threading, time, urllib.request
address, pid, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
master = open(sys.argv[4]).read().strip()
made, refused, enough, until = [], [], 2 * count, time.monotonic() + 180

def make(thread):
    number = 0
    while len(made) < enough and time.monotonic() < until:
        number += 1
        body = json.dumps({"key_alias": f"faults-{pid}-{thread}-{number}", "models": ["plain"]}).encode()
        headers = {"Authorization": "Bearer " + master, "Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"http://{address}:4000/key/generate", body, headers), timeout=60
            ) as answer:
                made.append(json.load(answer)["key"])
        except OSError as error:
            refused.append(str(error))

threads = [threading.Thread(target=make, args=(thread,)) for thread in range(4)]
for thread in threads:
    thread.start()
while len(made) < count and time.monotonic() < until:
    time.sleep(0.001)
os.kill(pid, 9)
for thread in threads:
    thread.join()
print(json.dumps({"made": made, "refused": len(refused)}))
"""
COUNT = 25


@pytest.mark.fault("PostgreSQL killed while keys are made through the API")
@pytest.mark.parametrize("whom", some(["its main process"] * 3 + ["a session"] * 3))
def test_every_acknowledged_key_is_there(promise: Promise, machine: Machine, whom: str) -> None:
    pid = machine.main_process("postgres") if whom == "its main process" else session(machine)
    litellm = address(machine.host, "litellm", "fleet-litellm")
    machine.host.check_output("cat > /run/make_keys.py <<'END'\n" + MAKE_KEYS + "END")
    reported = json.loads(
        machine.host.check_output(f"python3 /run/make_keys.py {litellm} {pid} {COUNT} {SECRETS}/master_key")
    )
    made = reported["made"]
    try:
        assert len(made) >= 2 * COUNT, f"LiteLLM made {len(made)} keys and stopped ({reported['refused']} refused)"
        assert {hashlib.sha256(key.encode()).hexdigest() for key in made} <= tokens(machine)
        assert {promise.door.chat("plain", key=key).status_code for key in made[-COUNT - 4 : -COUNT + 4]} == {200}
    finally:
        promise.litellm("/key/delete", {"keys": made})
    promise.holds()
    assert promise.install().changed() == {machine.name: 0}


def session(machine: Machine) -> int:
    """The PID of one of LiteLLM's database sessions, on the host."""
    lines = machine.host.check_output("docker top postgres -eo pid,args").splitlines()
    found = [int(line.split()[0]) for line in lines if re.search(r"postgres: litellm\S* litellm ", line)]
    assert found, f"no session among {lines}"
    return found[0]


def tokens(machine: Machine) -> set[str]:
    """The keys in the database: LiteLLM's answers may come from its memory."""
    return set(sql(machine, 'select token from "LiteLLM_VerificationToken"').split())


def sql(machine: Machine, query: str) -> str:
    return machine.host.check_output(f"docker exec postgres psql -U litellm -d litellm -Atc '{query}'")

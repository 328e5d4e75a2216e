"""Configuration damaged by hand: detected, never served, and fixed by the next `install`."""

from __future__ import annotations

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import FOLDER, Promise

# How a file is broken: shell, with its path as $1.
WAYS = {
    "truncated": 'truncate --size $(( $(stat --format %s "$1") / 2 )) "$1"',
    "emptied": ': > "$1"',
    "garbage": 'head --bytes 3000 /dev/urandom > "$1"',
}
FILES = {"config.json": None, "caddy/Caddyfile": "caddy", "litellm/config.yaml": "litellm"}
"""Each file with the container that reads it at its start."""
SAMPLE = [("caddy/Caddyfile", "truncated")]


@pytest.mark.fault("config.json, Caddyfile or LiteLLM's config.yaml broken by hand")
@pytest.mark.parametrize(("file", "way"), some([(file, way) for file in FILES for way in WAYS], SAMPLE))
@pytest.mark.parametrize("restarted", some([False, True], [True]), ids=lambda one: "restarted" if one else "running")
def test_what_is_broken_is_put_right_and_never_served(
    promise: Promise, machine: Machine, file: str, way: str, restarted: bool
) -> None:
    good = machine.host.check_output(f"sha256sum {FOLDER}/{file}")
    machine.host.check_output(f"set -- {FOLDER}/{file}; {WAYS[way]}")
    assert machine.host.check_output(f"sha256sum {FOLDER}/{file}") != good
    assert promise.unanswered() == [], "what runs must keep its configuration"
    container = FILES[file]
    with promise.strangers() as statuses:
        if restarted and container:
            machine.host.check_output(f"docker restart {container}")
        run = promise.settles()
    assert 200 not in statuses, "somebody without a key was accepted"
    assert run.changed()[machine.name] > 0, "nobody noticed"
    assert machine.host.check_output(f"sha256sum {FOLDER}/{file}") == good
    promise.holds()


@pytest.mark.fault("a restore from a broken config.json")
@pytest.mark.parametrize("way", some(WAYS))
def test_a_restore_from_a_broken_file_says_so_and_touches_nothing(promise: Promise, machine: Machine, way: str) -> None:
    machine.host.check_output(f"set -- {FOLDER}/config.json; {WAYS[way]}")
    assert machine.host.run("systemctl start inference-fleet-restore.service").rc != 0
    reported = machine.host.check_output("journalctl --unit inference-fleet-restore.service --no-pager --lines 100")
    assert f"{FOLDER}/config.json" in reported
    assert promise.unanswered() == []
    promise.settles()
    promise.holds()

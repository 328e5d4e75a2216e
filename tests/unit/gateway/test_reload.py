"""A reload of Caddy through other ports: each port always has a server that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway.reload import SHIFT, moved, ports, reload
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

DELAY = 3  # looks at the kernel until a server that was replaced closes its listener


def config(header: str, *listen: str) -> dict[str, Any]:
    servers = {f"srv{number}": {"listen": [address], "header": header} for number, address in enumerate(listen)}
    return {"apps": {"http": {"shutdown_delay": 6, "servers": servers}, "tls": {"certificates": {}}}}


LISTEN = ("caddy.fleet-front:443", "tcp4/caddy.fleet-front:80", "caddy.fleet-litellm:9080")
OLD, NEW = config("old", *LISTEN), config("new", *LISTEN)
OWN = frozenset({80, 443, 9080})


class Killed(Exception):
    pass


class Caddy:
    """listening: port -> looks until its server ends, None for one that goes on. dies_at: the call before which the
    module is killed. refuses: what Caddy says of a configuration."""

    def __init__(self, running: Mapping[str, Any], refuses: str = "") -> None:
        self.running = running
        self.listening: dict[int, int | None] = dict.fromkeys(ports(running))
        self.rules: set[int] = set()
        self.refuses = refuses
        self.calls: list[str] = []
        self.dies_at = -1
        self.unserved: list[str] = []

    def load(self, new: Mapping[str, Any]) -> Future[None]:
        self._call(f"load {sorted(ports(new))}")
        done: Future[None] = Future()
        if self.refuses:
            done.set_exception(FleetError(self.refuses))
            return done
        self.running = new
        self.listening = {**dict.fromkeys(self.listening, DELAY), **dict.fromkeys(ports(new))}
        done.set_result(None)
        return done

    def listens(self, port: int) -> bool:
        return port in self.listening

    def redirect(self, found: frozenset[int]) -> None:
        self._call("redirect")
        self.rules |= found

    def direct(self, found: frozenset[int]) -> bool:
        self._call("direct")
        there = self.rules & found
        self.rules -= found
        return bool(there)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        while not condition():
            left = {port: looks if looks is None else looks - 1 for port, looks in self.listening.items()}
            self.listening = {port: looks for port, looks in left.items() if looks != 0}
            self._look()

    def _call(self, what: str) -> None:
        if len(self.calls) == self.dies_at:
            raise Killed
        self.calls.append(what)
        self._look()

    def _look(self) -> None:
        """A server that ends loses what reaches it in its last look."""
        for port in OWN:
            reached = port + SHIFT if port in self.rules else port
            if self.listening.get(reached, 0) in (0, 1):
                self.unserved.append(f"{self.calls[-1]}: {port}")

    def serves(self) -> bool:
        """Once the servers that were replaced have ended."""
        return {port for port, looks in self.listening.items() if looks is None} == OWN and not self.rules


def test_each_port_has_a_server_that_goes_on() -> None:
    caddy = Caddy(OLD)
    assert reload(OLD, NEW, caddy)
    own = sorted(OWN)
    assert caddy.calls == [f"load {[port + SHIFT for port in own]}", "redirect", f"load {own}", "direct"]
    assert caddy.unserved == []
    assert (caddy.running, caddy.serves()) == (NEW, True)


def test_the_same_configuration_is_not_loaded() -> None:
    caddy = Caddy(NEW)
    assert not reload(NEW, NEW, caddy)
    assert caddy.calls == ["direct"]


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("changed_again", [False, True])
def test_a_reload_that_was_cut_off_is_completed(step: int, changed_again: bool) -> None:
    caddy = Caddy(OLD)
    caddy.dies_at = step
    with pytest.raises(Killed):
        reload(OLD, NEW, caddy)
    caddy.dies_at = -1
    wanted = config("newer", *LISTEN) if changed_again else NEW
    assert reload(caddy.running, wanted, caddy)
    assert (caddy.running, caddy.serves()) == (wanted, True)
    assert caddy.unserved == []


def test_listeners_come_and_go() -> None:
    more = config("more", *LISTEN, "caddy.fleet-monitoring:9180")
    caddy = Caddy(OLD)
    assert reload(OLD, more, caddy)
    assert (set(caddy.listening), caddy.rules) == ({*OWN, 9180}, set())
    assert reload(more, NEW, caddy)
    assert caddy.serves()
    assert caddy.unserved == []


def test_what_caddy_refuses_changes_nothing() -> None:
    caddy = Caddy(OLD, refuses="loading new config: no such file")
    with pytest.raises(FleetError, match="no such file"):
        reload(OLD, NEW, caddy)
    assert (caddy.running, caddy.serves()) == (OLD, True)


def test_the_other_ports_are_those_of_challenges_too() -> None:
    http = moved(config("any", "[::1]:443"))["apps"]["http"]
    assert (http["http_port"], http["https_port"], http["shutdown_delay"]) == (10080, 10443, 6)
    assert http["servers"]["srv0"] == {"listen": ["[::1]:10443"], "header": "any"}


@pytest.mark.parametrize("address", ["unix//run/caddy.sock", "caddy.fleet-front", ":8000-8002"])
def test_a_listener_without_one_port_is_refused(address: str) -> None:
    with pytest.raises(FleetError, match="expected a port at its end"):
        ports(config("any", address))

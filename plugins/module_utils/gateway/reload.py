# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Caddy gets another configuration, and no request is lost. Pure.

A reload replaces Caddy's servers, and a server that is shut down closes the connections whose first request it has not
read (golang/go #75591). So nothing may reach a server in its last seconds. The new configuration is loaded on other
ports first, and rules in Caddy's network redirect new connections to them. So the previous servers get no new one. For
`shutdown_delay` they close each connection with its next answer, and then they end. Then the configuration is loaded on
its own ports in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SHIFT = 10000  # from a port to the port that takes its place for some seconds
_PORT = re.compile(r"(?<=:)[0-9]+$")
Config = Mapping[str, Any]  # Caddy's JSON
Ports = frozenset[int]


class Caddy(Protocol):
    """What a reload needs from a running Caddy.

    load: the future ends with FleetError if Caddy refuses the configuration. direct: removes the rules of `redirect`,
    and returns whether there were some. wait: raises FleetError if that takes too long."""

    def load(self, config: Config) -> Future[None]: ...
    def listens(self, port: int) -> bool: ...
    def redirect(self, ports: Ports) -> None: ...
    def direct(self, ports: Ports) -> bool: ...
    def wait(self, condition: Callable[[], bool], what: str) -> None: ...


def reload(running: Config, wanted: Config, caddy: Caddy) -> bool:
    """Returns whether there was something to do. running: may be of a reload that was interrupted."""
    own = ports(wanted) | {port - SHIFT for port in ports(running) if port - SHIFT in ports(wanted)}
    if running == wanted:
        return caddy.direct(own)
    if not any(port - SHIFT in ports(wanted) for port in ports(running)):
        other = moved(wanted)
        _load(other, ports(running), lambda: caddy.redirect(ports(wanted)), caddy)
        running = other
    else:
        caddy.redirect(frozenset(port - SHIFT for port in ports(running)))
    _load(wanted, ports(running), lambda: caddy.direct(own), caddy)
    return True


def _load(config: Config, previous: Ports, then: Callable[[], object], caddy: Caddy) -> None:
    load = caddy.load(config)

    def listens() -> bool:
        if load.done():
            load.result()
        return all(map(caddy.listens, ports(config)))

    caddy.wait(listens, f"Caddy listens at {_text(ports(config))}")
    then()
    load.result()
    gone = previous - ports(config)
    caddy.wait(lambda: not any(map(caddy.listens, gone)), f"the previous servers of Caddy at {_text(gone)} have ended")


def ports(config: Config) -> Ports:
    """TCP ports of all servers. Raises FleetError for a listener without one."""
    found = set()
    for one in _servers(config):
        for address in one.get("listen", []):
            port = _PORT.search(address)
            if not port:
                raise FleetError(f"listener {address} of Caddy: expected a port at its end")
            found.add(int(port[0]))
    return frozenset(found)


def moved(config: Config) -> dict[str, Any]:
    """The same configuration on the other ports."""
    http = config["apps"]["http"]
    shifted = {
        **{name: http.get(name, default) + SHIFT for name, default in (("http_port", 80), ("https_port", 443))},
        "servers": {name: {**one, "listen": [*map(_moved, one.get("listen", []))]} for name, one in _named(config)},
    }
    return {**config, "apps": {**config["apps"], "http": {**http, **shifted}}}


def _moved(address: str) -> str:
    return _PORT.sub(lambda port: str(int(port[0]) + SHIFT), address)


def _named(config: Config) -> Iterator[tuple[str, Config]]:
    yield from config.get("apps", {}).get("http", {}).get("servers", {}).items()


def _servers(config: Config) -> Iterator[Config]:
    return (one for _name, one in _named(config))


def _text(found: Ports) -> str:
    return ", ".join(map(str, sorted(found)))

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes a container from its clients: new connections are refused, and those that exist go on to their end.

A server that is told to stop closes its listening socket, and the kernel resets the connections that the server has not
accepted yet: their requests are lost. A rule in the network of the container refuses a connection before it exists,
so a client such as Caddy can try the next container. The rule ends with the network, when the container ends.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system import own_network

_POLL_SECONDS = 0.1


def drain(
    process: int,
    port: int,
    seconds: float,
    host: Optional[str] = None,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Returns how many connections are left when there is none, or the time is over. Arguments: as for `refuse`."""
    refuse(process, port, host)
    end = now() + seconds
    while (left := connections(process, port)) and now() < end:
        pause(_POLL_SECONDS)
    return left


def refuse(process: int, port: int, host: Optional[str] = None) -> None:
    """New connections to the port. IPv4 alone: Caddy reaches containers by IPv4. process: of the container, with an ID
    of this host. host: the address from which connections are accepted nevertheless. Raises FleetError if the host
    refuses the rule."""
    own_network.add(process, _rule(port, host))


def accept(process: int, port: int, host: Optional[str] = None) -> None:
    """New connections to the port again, if the process still lives. Raises FleetError if the host refuses that."""
    own_network.remove(process, _rule(port, host))


def own_address(address: str) -> str:
    """The address of this host that a container of that address sees."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        return str(probe.getsockname()[0])


def connections(process: int, port: int) -> int:
    """Of clients with the port; 0 if the process is gone."""
    return own_network.count(process, port, own_network.ESTABLISHED, own_network.SYN_RECV)


def _rule(port: int, host: Optional[str]) -> list[str]:
    others = ["!", "-s", host] if host else []
    return ["INPUT", *others, "-p", "tcp", "--syn", "--dport", str(port), "-j", "REJECT", "--reject-with", "tcp-reset"]

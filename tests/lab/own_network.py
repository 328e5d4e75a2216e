"""A network of a program's own: no way out, and no change while Docker creates and removes networks on this machine.

Chromium gives up each request under way when the machine's networks change (ERR_NETWORK_CHANGED), and a page whose
script was lost stays half drawn; next to other scenarios, that happens every few seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
BACKLOG = 128
CHUNK = 1 << 16


class OwnNetwork:
    def __init__(self) -> None:
        self._name = f"inference-fleet-{os.getpid()}"
        self._forwarded: dict[int, int] = {}
        _ip("netns", "add", self._name)
        self._do("link", "set", "lo", "up")
        # Without another interface than lo, a browser says that it is offline.
        self._do("link", "add", "near", "type", "veth", "peer", "name", "far")
        self._do("address", "add", "192.0.2.1/24", "dev", "near")
        for interface in ("near", "far"):
            # Else the interface gets an address of IPv6 a second later, which is a change.
            self._do("link", "set", interface, "addrgenmode", "none")
            self._do("link", "set", interface, "up")

    def program(self, path: str, script: Path) -> Path:
        """A script that starts the program in this network."""
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self._name} {path} "$@"\n')
        script.chmod(0o755)
        return script

    def listener(self) -> socket.socket:
        """A socket that listens on 127.0.0.1 of this network; whoever has it may be in another one."""
        made: list[socket.socket] = []

        def listen() -> None:
            with Path(f"/run/netns/{self._name}").open() as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):  # of this thread alone
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG))

        thread = threading.Thread(target=listen)
        thread.start()
        thread.join()
        return made[0]

    def forward(self, port: int) -> int:
        """A port of this network that leads to a port of 127.0.0.1 outside."""
        if port not in self._forwarded:
            listener = self.listener()
            self._forwarded[port] = int(listener.getsockname()[1])
            threading.Thread(target=_accept, args=(listener, port), daemon=True).start()
        return self._forwarded[port]

    def remove(self) -> None:
        _ip("netns", "delete", self._name)

    def _do(self, *words: str) -> None:
        _ip("-n", self._name, *words)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        near, _address = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    # The other direction ends, too: a browser waits for nothing from a page that is gone.
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

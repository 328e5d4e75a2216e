"""inference.fleet.caddy_reload: the administration endpoint of a Caddy, its listeners and the rules of its network.

The endpoint is a stand-in that has Caddy's paths; scenario access reloads a real Caddy under load.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway.reload import ports
from ansible_collections.inference.fleet.plugins.modules import caddy_reload
from ansible_collections.inference.fleet.tests.unit.running import Module

PROCESS = 7


def config(text: str) -> dict[str, Any]:
    return {"apps": {"http": {"servers": {"srv0": {"listen": [":443"], "text": text}}}}}


class Endpoint(ThreadingHTTPServer):
    """running: Caddy's configuration. refuses: what it says of a new one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.running: Any = config("old")
        self.refuses = ""
        self.rules: set[tuple[str, ...]] = set()


class Requests(BaseHTTPRequestHandler):
    server: Endpoint

    def log_message(self, *_words: Any) -> None:
        pass

    def do_GET(self) -> None:
        assert self.path == "/config/"
        self._answer(200, self.server.running)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.path == "/load"
        if self.server.refuses:
            return self._answer(400, {"error": self.server.refuses})
        self.server.running = json.loads(body)
        return self._answer(200, None)

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if body or self.command == "GET" else b"")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint() as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        monkeypatch.setattr(
            caddy_reload, "_connected", lambda _process: socket.create_connection(served.server_address)
        )
        monkeypatch.setattr(caddy_reload, "ask", lambda _path: {"State": {"Pid": PROCESS}})

        def known(rule: list[str], table: str, program: str) -> tuple[str, ...]:
            assert table == "nat"
            return (program, *rule)

        network = caddy_reload.own_network
        monkeypatch.setattr(network, "count", lambda _process, port, _state: int(port in ports(served.running)))
        monkeypatch.setattr(network, "has", lambda _process, *rule: known(*rule) in served.rules)
        monkeypatch.setattr(network, "add", lambda _process, *rule: served.rules.add(known(*rule)))
        monkeypatch.setattr(network, "remove", lambda _process, *rule: served.rules.remove(known(*rule)))
        yield served
        served.shutdown()
        thread.join()


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The module, with the text of the Caddyfile in the container; one that `caddy adapt` refuses is empty."""
    module = Module(caddy_reload.main, capsys)

    def running(text: str, check: bool = False, **more: Any) -> dict[str, Any]:
        def run_command(_module: Any, command: list[str]) -> tuple[int, str, str]:
            adapt = ["caddy", "adapt", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
            assert command == ["docker", "exec", "caddy", *adapt]
            return (0, json.dumps(config(text)), "warning") if text else (1, "", "Error: unrecognized directive: x\n")

        monkeypatch.setattr(caddy_reload.AnsibleModule, "run_command", run_command)
        return module(check, **more)

    return running


@pytest.mark.parametrize("ipv6", [False, True])
def test_loads_another_configuration_once(endpoint: Endpoint, run: Run, ipv6: bool) -> None:
    assert run("new", ipv6=ipv6)["changed"]
    assert endpoint.running == config("new")
    assert endpoint.rules == set()
    assert not run("new", ipv6=ipv6)["changed"]


def test_a_caddy_that_found_no_site_in_its_file_gets_its_configuration(
    endpoint: Endpoint, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caddy_reload, "EMPTY_SECONDS", 0.1)
    endpoint.running = None
    assert run("new")["changed"]
    assert endpoint.running == config("new")
    assert not run("new")["changed"]


def test_check_mode_compares(endpoint: Endpoint, run: Run) -> None:
    assert run("new", check=True)["changed"]
    assert not run("old", check=True)["changed"]
    assert endpoint.running == config("old")


def test_removes_the_rules_of_a_run_that_was_killed(endpoint: Endpoint, run: Run) -> None:
    endpoint.rules.add(("iptables", *caddy_reload._rule(443)))
    assert run("old")["changed"]
    assert endpoint.rules == set()


def test_says_what_caddy_refuses(endpoint: Endpoint, run: Run) -> None:
    endpoint.refuses = "loading certificates: no such file"
    assert "POST /load of Caddy's administration endpoint: 400" in (said := run("new")["msg"])
    assert "loading certificates: no such file" in said


def test_says_what_is_wrong_with_the_caddyfile(endpoint: Endpoint, run: Run) -> None:
    fault = "/etc/caddy/Caddyfile in container caddy: caddy adapt: Error: unrecognized directive: x"
    assert run("")["msg"] == fault
    assert endpoint.running == config("old")


def test_says_that_caddy_does_not_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caddy_reload, "ask", lambda _path: None)
    assert run("new", timeout=0)["msg"] == "container caddy: it does not run; see `docker logs caddy`"
    assert not run("new", check=True)["changed"]


def test_says_that_the_endpoint_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_process: int) -> socket.socket:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(caddy_reload, "_connected", refused)
    assert "its administration endpoint does not answer" in run("new", timeout=0)["msg"]

"""What a host must do before and after a fault, as seen by a client and by root."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import requests
from faults.machine import RESTORE_S, Machine
from lab.fixtures import SECRETS, Admin, Door, Run, address, inspect, requests_seen, wait_until

FOLDER = "/etc/inference-fleet"
LOCK = "/run/inference-fleet/lock"
SERVICES = ("postgres", "litellm", "caddy")
CHAT = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
# Virtual keys with their models; the second is for all models.
KEYS: Mapping[str, Mapping[str, Any]] = {
    "faults-team": {"models": ["half", "small"], "max_budget": 5},
    "faults-any": {},
}
TEMPORARY = re.compile(r"(^|/)(\.|tmp|ansible-tmp)|~$")


class Promise:
    """The promise of one host. Its virtual keys are created once, before the first fault."""

    def __init__(self, machine: Machine, door: Door, admin: Admin) -> None:
        self.machine, self.door, self._admin = machine, door, admin
        self._host = machine.host
        self.litellm("/key/delete", {"key_aliases": list(KEYS)}, accepts="404")
        self._keys = {
            alias: json.loads(self.litellm("/key/generate", {"key_alias": alias, **limits}))["key"]
            for alias, limits in KEYS.items()
        }
        self._direct = self._host.check_output(f"cat {SECRETS}/direct-made")
        self._files = self._configuration()

    def key(self, alias: str) -> str:
        """One of the virtual keys."""
        return self._keys[alias]

    def litellm(self, path: str, body: Mapping[str, Any], accepts: str = "") -> str:
        """Calls LiteLLM's API on the host, with the master key, which is in no command line.

        accepts: a status that counts like 200.
        """
        litellm = address(self._host, "litellm", "fleet-litellm")
        answer = self._host.check_output(
            f"sed 's/^/Authorization: Bearer /' {SECRETS}/master_key | curl --silent --show-error -H @- "
            f"-H 'Content-Type: application/json' -d '{json.dumps(body)}' --write-out '\n%{{http_code}}' "
            f"http://{litellm}:4000{path}"
        )
        text, _newline, status = answer.rpartition("\n")
        assert status in ("200", accepts), f"{path}: {status}: {text}"
        return text

    def holds(self, models: Sequence[Mapping[str, Any]] | None = None, layout: Sequence[str] | None = None) -> None:
        """Waits until every model answers; then nothing may be missing or left over.

        models, layout: of the last converge, if not the scenario's.
        """
        self._wait_until_it_serves(self.door.models if models is None else models)
        faults = [*self._left_over(self.door.models if models is None else models)]
        if models is None and (strange := self._configuration() ^ self._files):
            faults.append(f"{FOLDER} has not the files it had before: {sorted(strange)}")
        faults += self._mig(LAYOUT if layout is None else layout)
        assert not faults, "\n".join(faults)

    def settles(self, variables: Mapping[str, Any] | None = None) -> Run:
        """Install succeeds, and changes nothing when run again. Returns the first run."""
        first = self.install(variables)
        if first.changed()[self.machine.name]:
            again = self.install(variables)
            assert again.changed() == {self.machine.name: 0}, again.output
        return first

    def install(self, variables: Mapping[str, Any] | None = None) -> Run:
        run = self._admin.play("install", "--limit", self.machine.name, variables=variables)
        assert run.status == 0, run.output
        return run

    def first_answer(self) -> bool:
        with suppress(requests.RequestException):
            return self._ask("chat", "plain").status_code == 200
        return False

    @contextmanager
    def asking(self, model: str) -> Iterator[list[int]]:
        """One request is under way meanwhile. Afterwards the list has the status of its answer: 0 if it took too long,
        and nothing if its connection ended."""
        statuses: list[int] = []

        def ask() -> None:
            with suppress(requests.ConnectionError):
                try:
                    statuses.append(self._ask("chat", model).status_code)
                except requests.Timeout:
                    statuses.append(0)

        seen = len(requests_seen(self._host, model))
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: len(requests_seen(self._host, model)) > seen, f"{model} has the request")
        yield statuses
        thread.join()

    @contextmanager
    def strangers(self) -> Iterator[list[int]]:
        """Sends requests without a key meanwhile. The statuses of the answers."""
        statuses: list[int] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                with suppress(requests.RequestException):
                    statuses.append(self._ask("chat", "half", "sk-wrong").status_code)
                done.wait(0.2)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield statuses
        finally:
            done.set()
            thread.join()

    def unanswered(self, models: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
        """The requests of a client that fail, each as a line."""
        faults = []
        for what, status, ask in self._requests(self.door.models if models is None else models):
            try:
                answer = ask()
            except requests.RequestException as error:
                faults.append(f"{what}: {type(error).__name__}: {error}")
                continue
            if answer.status_code != status:
                faults.append(f"{what}: {answer.status_code} in place of {status}: {answer.text[:300]}")
        return faults

    def _requests(
        self, models: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[str, int, Callable[[], requests.Response]]]:
        for model in models:
            if model.get("state", "running") == "running":
                yield f"{model['type']} {model['name']}", 200, partial(self._ask, model["type"], model["name"])
        team, anybody = self._keys["faults-team"], self._keys["faults-any"]
        yield "virtual key of two models, chat half", 200, partial(self._ask, "chat", "half", team)
        yield "virtual key of two models, embedding small", 200, partial(self._ask, "embedding", "small", team)
        yield "virtual key of two models, chat whole", 404, partial(self._ask, "chat", "whole", team)
        yield "virtual key of all models, chat plain", 200, partial(self._ask, "chat", "plain", anybody)
        yield "direct key, chat half", 200, partial(self._ask, "chat", "half", self._direct, "/models/half/v1")
        yield "open route, chat half", 200, partial(self._ask, "chat", "half", "anything", "/open/half/v1")

    def _ask(self, kind: str, model: str, key: str | None = None, base: str = "/v1") -> requests.Response:
        post = partial(self.door.request, "POST", key=key)
        if kind == "embedding":
            return post(f"{base}/embeddings", json={"model": model, "input": "some text"})
        if kind == "tts":
            return post(f"/models/{model}/v1/audio/speech", json={"model": model, "input": "Hi", "voice": "any"})
        return post(f"{base}/chat/completions", json={"model": model, **CHAT})

    def _wait_until_it_serves(self, models: Sequence[Mapping[str, Any]]) -> None:
        last: list[str] = []

        def serves() -> bool:
            last[:] = self.unanswered(models)
            return not last

        try:
            wait_until(serves, "every model answers and every key works", RESTORE_S)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *last])) from None

    def _left_over(self, models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        wanted = dict.fromkeys(SERVICES, ("running",))
        for model in models:
            states = ("running",) if model.get("state", "running") == "running" else ("created", "exited")
            wanted |= {f"vllm-{model['name']}-{replica + 1}": states for replica in range(model.get("replicas", 1))}
        found = {name: one["State"]["Status"] for name, one in inspect(self._host).items()}
        for name in sorted({*wanted, *found}):
            if found.get(name) not in wanted.get(name, ()):
                yield f"container {name}: {found.get(name, 'missing')}; expected {wanted.get(name, ('none',))}"
        for path in sorted(filter(TEMPORARY.search, self._configuration())):
            yield f"{path}: left behind"
        lock = self._host.run(f"cat {LOCK}").stdout
        if lock.strip() not in ("", "null"):
            yield f"{LOCK}: {lock}"

    def _configuration(self) -> frozenset[str]:
        return frozenset(self._host.check_output(f"cd {FOLDER} && find . -type f -printf '%P\n'").splitlines())

    def _mig(self, layout: Sequence[str]) -> Iterator[str]:
        found = sorted(re.findall(r"^ +MIG (\S+)", self._host.check_output("nvidia-smi -L"), re.MULTILINE))
        if found != sorted(layout):
            yield f"MIG instances: {found}; expected {sorted(layout)}"


LAYOUT = ("3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb")
"""The layout of the scenario's inventory, all on GPU 0."""

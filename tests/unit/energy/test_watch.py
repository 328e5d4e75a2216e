"""The holders follow Docker's events, and are not known while Docker does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy import watch as module
from ansible_collections.inference.fleet.plugins.module_utils.energy.watch import Watch
from ansible_collections.inference.fleet.tests.unit.energy.lab import engine, fault, machine_on_path

PATIENCE_S = 10


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def models(watch: Watch) -> list[str]:
    shares = (watch.shares or {}).values()
    return sorted(share.holder.model for parts in shares for share in parts if share.holder)


def test_follows_the_models_and_a_restart_of_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_on_path(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "AGAIN_S", 0.1)
    said: list[str] = []
    watch = Watch(said.append)
    with engine(tmp_path, monkeypatch) as docker:
        docker.has(("chat", "0"))
        watch.start()
        until(lambda: models(watch) == ["chat"])
        docker.has(("chat", "0"), ("embed", "1"))
        until(lambda: models(watch) == ["chat", "embed"])
        docker.has()
        until(lambda: watch.shares is not None and not models(watch))
        assert not said
    until(lambda: watch.shares is None)
    until(lambda: len(said) == 2)
    assert said[0] == "who holds which GPU is not known: Docker has ended"
    assert said[1].startswith(f"who holds which GPU is not known: Docker does not answer on {tmp_path}/docker.sock (")
    with engine(tmp_path, monkeypatch) as docker:
        docker.has(("chat", "1"))
        until(lambda: models(watch) == ["chat"])
        assert said[2:] == ["who holds which GPU is known again"]
        fault(machine, driver="not loaded")
        docker.has(("chat", "0"))
        until(lambda: len(said) == 4)
        assert "nvidia-smi -L lists no GPU: NVIDIA-SMI has failed because it couldn't communicate" in said[3]
        fault(machine)
        until(lambda: models(watch) == ["chat"])


def test_repartitioned_slices_are_noticed_without_a_container_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_on_path(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "LOOK_S", 0.1)
    watch = Watch(lambda _text: None)
    with engine(tmp_path, monkeypatch) as docker:
        docker.has(("chat", "0"))
        watch.start()
        until(lambda: models(watch) == ["chat"])
        machine.mig().ok("mig -i 0 -cgi 9,14 -C")
        until(lambda: [part.device for part in next(iter((watch.shares or {}).values()))] == ["3g.20gb", "2g.10gb"])

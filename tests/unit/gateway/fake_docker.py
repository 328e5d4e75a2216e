"""A FAKE of engine.docker.Docker that knows of one container, on this machine."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Container, Spec


class FakeDocker:
    def __init__(self, status: str | None = "running", address: str | None = "127.0.0.1") -> None:
        self.status = status
        self.address = address

    def inspect(self, name: str) -> Container | None:
        if self.status is None:
            return None
        spec = Spec(name, "litellm:1", (), (), {}, (), ("llm-network",), (), {}, "on-failure", 0, "private")
        return Container("id", spec, self.status, self.address)

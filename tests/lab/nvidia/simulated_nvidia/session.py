"""One run of a command: the host as it is, who holds it, and what is printed so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulated_nvidia.answer import Code, Refused
from simulated_nvidia.clients import Clients
from simulated_nvidia.driver import Driver
from simulated_nvidia.power import Power
from simulated_nvidia.state import Gpu, Host


@dataclass
class Session:
    """lost: indices of GPUs that fell off the bus. privileged: whether the caller may change anything.
    again: whether it is not the first answer of a loop."""

    host: Host
    clients: Clients
    power: Power
    privileged: bool = True
    lost: frozenset[int] = frozenset()
    again: bool = False
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    @property
    def driver(self) -> Driver:
        return self.host.config.driver

    def say(self, text: str) -> None:
        self.out.append(text if text.endswith("\n") else text + "\n")

    def select(self, ids: str | None) -> list[Gpu]:
        """The GPUs that `-i` names by index, UUID or PCI bus ID; all without it. Lost ones among them."""
        if not self.host.gpus:
            raise Refused(Code.NOT_FOUND, "No devices were found")
        if ids is None:
            return list(self.host.gpus)
        return [self._one(item.strip()) for item in ids.split(",")]

    def reachable(self, ids: str | None) -> list[Gpu]:
        """Those selected, if none of them is lost."""
        gpus = self.select(ids)
        for gpu in gpus:
            self.check(gpu)
        return gpus

    def check(self, gpu: Gpu) -> None:
        if gpu.config.index in self.lost:
            raise Refused(Code.GPU_IS_LOST, self.lost_message(gpu))

    def lost_message(self, gpu: Gpu) -> str:
        handle = self.driver.handle(gpu.config.index, gpu.config.bus_id)
        return (
            f"Unable to determine the device handle for {handle}: GPU is lost.  Reboot the system to recover this GPU"
        )

    def _one(self, item: str) -> Gpu:
        for gpu in self.host.gpus:
            config = gpu.config
            buses = {config.bus_id.lower(), config.bus_id.lower()[4:], config.bus_id.lower()[9:]}
            if item in {str(config.index), config.uuid} or item.lower() in buses:
                return gpu
        raise Refused(Code.NOT_FOUND, "No devices were found")

"""One lab host for a measure: its engine's containers, its memory, and the processor time of its engines."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines import connection, lab_program
from playbook import BenchError

PREFIX = "inference-fleet-lab-"
SYSTEM = "lab-host-trixie"
SAMPLER = """
import json, os, time
PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
while True:
    memory, engines = 0, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            pages = open(f"/proc/{pid}/statm").read().split()
            name, _, rest = open(f"/proc/{pid}/stat").read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        memory += (int(pages[1]) - int(pages[2])) * PAGE
        if name.startswith("VLLM"):
            engines[pid] = sum(map(int, rest.split()[11:13])) / TICK
    print(json.dumps([memory, engines]), flush=True)
    time.sleep(0.5)
"""
"""proc(5): statm's resident less shared pages; stat's utime and stime."""


@dataclass(frozen=True)
class Sample:
    """at: of time.monotonic. memory: bytes of all processes, without what they share. engines: PID -> processor
    seconds so far of a process of vLLM."""

    at: float
    memory: int
    engines: dict[str, float]


class LabHost:
    """address: of the host. folder: of this run, with the SSH key."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name, self.address, self.folder = name, address, folder
        self.connection = connection(address, folder, folder / "key")
        self._samples: list[Sample] = []

    def run(self, *command: str, stdin: str | None = None) -> str:
        """A command's output."""
        ended = subprocess.run(
            ["docker", "exec", "--interactive", PREFIX + self.name, *command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
        )
        if ended.returncode:
            raise BenchError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr or ended.stdout}")
        return ended.stdout

    def copy(self, path: Path, to: str) -> None:
        subprocess.run(["docker", "cp", str(path), f"{PREFIX}{self.name}:{to}"], check=True, stdout=subprocess.DEVNULL)

    def another_image(self, reference: str, tag: str) -> None:
        """The same image with another label, as another tag."""
        container = self.run("docker", "create", reference, "none").strip()
        self.run("docker", "commit", "--change", f"LABEL bench={tag}", container, tag)
        self.run("docker", "rm", container)

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Samples are taken twice a second meanwhile."""
        command = ["docker", "exec", PREFIX + self.name, "python3", "-c", SAMPLER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            reader = threading.Thread(target=self._read, args=(process,))
            reader.start()
            try:
                yield
            finally:
                process.terminate()
                reader.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            memory, engines = json.loads(line)
            self._samples.append(Sample(time.monotonic(), memory, engines))

    def samples(self, begin: float, end: float) -> list[Sample]:
        """Those of a time, and the one before."""
        before = [one for one in self._samples if one.at < begin][-1:]
        return before + [one for one in self._samples if begin <= one.at <= end]


@contextmanager
def lab_host(name: str, images: Sequence[str]) -> Iterator[LabHost]:
    """images: names in the lab's catalogue."""
    lab_program("images/build.py", SYSTEM, *images)
    tags = dict(line.split("\t") for line in lab_program("images/build.py", "--list", SYSTEM, *images).splitlines())
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        try:
            started = lab_program(
                "hosts.py", "start", name, tags[SYSTEM], f"{key}.pub", *(tags[image] for image in images)
            )
            yield LabHost(name, started.split()[-1], Path(folder))
        finally:
            lab_program("hosts.py", "remove", name)

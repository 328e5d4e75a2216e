"""What clients notice of a change: a steady load on one lab host while an admin changes it.

After each change the same load is measured beside a burner, which uses as much processor time as the change did.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import traces
from by_hand import ByHand
from docker import DockerClient
from install import IMAGES
from lab.load import Answer, Load, Stream
from lab_host import LabHost, lab_host
from playbook import BenchError, Playbooks
from quiet import machine_seconds
from report import Findings, against

QUICK = os.environ.get("BENCH_QUICK") == "yes"
"""Short streams and controls, to try the measure."""
HOST = "bench-changes"
VLLM_IMAGE = "inference-fleet/vllm-cpu:0.32.0"
OTHER_ENGINE, OTHER_LITELLM = "inference-fleet/engine-stand-in:other", "inference-fleet/litellm:other"
MONITORING = {
    "prometheus": "inference-fleet/prometheus:2.42",
    "node_exporter": "inference-fleet/node-exporter:1.5",
    "blackbox_exporter": "inference-fleet/blackbox-exporter:0.23",
    "grafana": "inference-fleet/grafana-stand-in:1",
}
LAB_IMAGES = (
    *("postgres", "litellm", "caddy", "vllm-cpu", "engine-stand-in"),
    *("prometheus", "node-exporter", "blackbox-exporter", "grafana-stand-in"),
)
SECRETS = "/etc/inference-fleet/secrets"
ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"

TOKEN_SECONDS, START_SECONDS = 0.1, 3
STREAM_SECONDS = 4 if QUICK else 20
BASE_SECONDS, CONTROL_SECONDS = (5, 5) if QUICK else (15, 10)
SETTLE_SECONDS = 1
NOTICED = ("requests wait", "clients are without", "cut off", "did not end")
"""In the lines of a run that say what clients notice."""
LEAST_CORES = 0.02
BURN = """
import os, time
for _ in range(os.cpu_count() - 1):
    if not os.fork():
        break
end = time.monotonic() + 120  # should nobody stop it
while time.monotonic() < end:
    pass
"""
WAIT_AIM = 1
SHOWN_FAILURES = 5
STAND_INS = {"pair": (3, 0.15), "single": (2, 0.15)}
"""Model -> requests per second, and streams per second, each on /v1 and on the direct route."""
SHORT = {"max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
STREAMED = {**SHORT, "stream": True, "max_tokens": round(STREAM_SECONDS / TOKEN_SECONDS)}
STREAMS = ", streams"  # at the end of their names
REAL = "tiny-chat"
VECTORS = "vectors"

Variables = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """name: of the row. edit: changes the inventory. then: what is left of the inventory after the run."""

    name: str
    edit: Callable[[Variables], None] = lambda _variables: None
    playbook: str = "install"
    arguments: tuple[str, ...] = ()
    then: Callable[[Variables], None] = lambda _variables: None


@dataclass
class Window:
    """A time under load. begin, end: of time.monotonic. busy: processor seconds beside those of the engines that run
    vLLM, which use what nobody else uses. memory: bytes above those at the begin, at most."""

    begin: float
    end: float = 0.0
    busy: float = 0.0
    memory: int = 0

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Row:
    """change, control: their times. took: seconds of the playbook; None if it failed. extra, burnt: processor seconds
    of the change and of the burner. noticed: what the run said of it."""

    name: str
    change: Window
    took: float | None
    extra: float
    control: Window
    burnt: float
    noticed: tuple[str, ...]
    fault: str


@dataclass(frozen=True)
class Seen:
    """The answers of one time. shown: the first failures."""

    requests: int
    streams: int
    failed: int
    cut: int
    longest: float
    shown: tuple[str, ...]


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    say("starting a lab host")
    with lab_host(HOST, LAB_IMAGES) as host, host.sampled():
        variables = _variables()
        playbooks = Playbooks(host.folder, variables, host.connection)
        playbooks.run("ready", "-e", "gate=false")
        copy = ["--entrypoint", "cp", "--volume", "/srv/models:/host", VLLM_IMAGE, "-r", f"/models/{REAL}", "/host"]
        host.run("docker", "run", "--rm", "--network", "none", *copy)
        host.another_image(traces.ENGINE, OTHER_ENGINE)
        host.another_image(IMAGES["litellm"], OTHER_LITELLM)
        say("install, the first time")
        playbooks.run("inference.fleet.install")
        certificate = host.folder / "root.crt"
        certificate.write_text(host.run("docker", "exec", "caddy", "cat", ROOT_CERTIFICATE))
        bench = Bench(docker, host, say)
        url = f"https://{host.address}"
        with Load(url, str(certificate), *_streams(_virtual_key(host), _secret(host, "direct-bench"))) as load:
            bench.base()
            rows = [bench.row(one.name, lambda one=one: _apply(one, playbooks, variables)) for one in CHANGES]
        yield _table(rows, load)
        yield _real(rows, load)
        say("the same by hand")
        hands = ByHand(host, _model("pair")["env"])
        with Load(hands.url, str(certificate), *_by_hand_streams()) as other:
            bench.base()
            compose = bench.row(f"`docker compose up -d` ({hands.version})", hands.change)
        yield _compared(rows[0], load, compose, other)
        broken = [f"{row.name}: {row.fault}" for row in (*rows, compose) if row.fault]
        if broken:
            raise BenchError("\n".join(broken))


class Bench:
    """Changes under load, each with its control."""

    def __init__(self, docker: DockerClient, host: LabHost, say: Callable[[str], None]) -> None:
        self._docker, self._host, self._say = docker, host, say
        self._base = 0.0

    def base(self) -> None:
        """What the load alone uses: processor seconds per second."""
        time.sleep(STREAM_SECONDS / 2 + SETTLE_SECONDS)
        with self._window() as window:
            time.sleep(BASE_SECONDS)
        self._base = window.busy / window.seconds

    def row(self, name: str, change: Callable[[], list[str]]) -> Row:
        self._say(name)
        took, fault, noticed = None, "", []
        with self._window() as window:
            try:
                noticed = change()
                took = time.monotonic() - window.begin
            except BenchError as error:
                fault = str(error)
            time.sleep(SETTLE_SECONDS)
        extra = self._extra(window)
        with self._burning(extra / window.seconds):
            time.sleep(SETTLE_SECONDS)
            with self._window() as control:
                time.sleep(min(window.seconds, CONTROL_SECONDS))
        return Row(name, window, took, extra, control, self._extra(control), tuple(noticed), fault)

    def _extra(self, window: Window) -> float:
        return max(0.0, window.busy - self._base * window.seconds)

    @contextmanager
    def _window(self) -> Iterator[Window]:
        window, (_all, before) = Window(time.monotonic()), machine_seconds()
        yield window
        window.end = time.monotonic()
        samples = self._host.samples(window.begin, window.end)
        spun: dict[str, float] = {}
        for sample in samples[1:]:
            spun.update({pid: spent for pid, spent in sample.engines.items() if pid in samples[0].engines})
        engines = sum(spent - samples[0].engines[pid] for pid, spent in spun.items())
        window.busy = machine_seconds()[1] - before - engines
        window.memory = max(sample.memory for sample in samples) - samples[0].memory

    @contextmanager
    def _burning(self, cores: float) -> Iterator[None]:
        """A container that uses so many cores."""
        if cores < LEAST_CORES:
            yield
            return
        burner = self._docker.containers.run(
            traces.ENGINE,
            ["-c", BURN],
            entrypoint="python3",
            name=f"{HOST}-burner",
            network_mode="none",
            nano_cpus=round(cores * 1e9),
            detach=True,
            auto_remove=True,
        )
        try:
            yield
        finally:
            burner.remove(force=True)


def _model(name: str, **more: Any) -> dict[str, Any]:
    env = {"STANDIN_TOKEN_SECONDS": TOKEN_SECONDS, "STANDIN_STARTUP_SECONDS": START_SECONDS}
    common = {"name": name, "type": "chat", "source": f"example/{name}", "devices": {"cpu": True}, "direct": True}
    return {**common, "env": env, **more}


def _variables() -> Variables:
    real = {
        "source": f"/srv/models/{REAL}",
        "image": VLLM_IMAGE,
        "args": {"max-model-len": 512, "enforce-eager": True},
        "env": {"HF_HUB_OFFLINE": 1, "VLLM_CPU_KVCACHE_SPACE": 1},
        "ready_timeout": 600,
        "shm_size": "1g",
    }
    return {
        "fleet_schema": 1,
        "fleet_cache": {"min_free_gb": 1, "downloads": "at_start"},
        "fleet_images": {**IMAGES, **MONITORING},
        "fleet_direct_keys": [{"name": "bench"}],
        "fleet_keys": [],
        "fleet_models": [
            _model("pair", replicas=2),
            _model("single"),
            _model(VECTORS, type="embedding", direct=False),
            _model(REAL, **real),
        ],
    }


def _of(name: str, **settings: Any) -> Callable[[Variables], None]:
    """Settings of one model; those that are mappings are added to."""

    def edit(variables: Variables) -> None:
        (model,) = (one for one in variables["fleet_models"] if one["name"] == name)
        for key, value in settings.items():
            model[key] = {**model.get(key, {}), **value} if isinstance(value, dict) else value

    return edit


def _all(**settings: Any) -> Callable[[Variables], None]:
    def edit(variables: Variables) -> None:
        for key, value in settings.items():
            before = variables.get(key)
            variables[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value

    return edit


def _changes() -> Iterator[Change]:
    for name in STAND_INS:
        yield Change(f"an argument of {name}", _of(name, args={"max-model-len": 2048}))
        yield Change(f"the image of {name}", _of(name, image=OTHER_ENGINE))
        yield Change(f"an environment variable of {name}", _of(name, env={"SOMETHING": "new"}))
    yield Change("replicas of single: 1 to 3", _of("single", replicas=3))
    yield Change("replicas of single: 3 to 1", _of("single", replicas=1))
    new = ("-e", "model=new")
    yield Change("another model is added", lambda all_: all_["fleet_models"].append(_model("new")), "add_model", new)
    yield Change("it is removed", playbook="remove_model", arguments=new, then=lambda all_: all_["fleet_models"].pop())
    for secret, what in (
        ("master_key", "the master key"),
        ("direct-bench", "a direct key"),
        ("postgres_password", "the database password"),
    ):
        yield Change(f"{what} rotates", playbook="rotate_keys", arguments=("-e", f"secret={secret}"))
    yield Change("a virtual key is made", _all(fleet_keys=[{"alias": "another"}]), "keys")
    yield Change("the image of LiteLLM", _all(fleet_images={"litellm": OTHER_LITELLM}))
    yield Change(f"an argument of {REAL} (vLLM)", _of(REAL, args={"max-num-seqs": 16}))
    yield Change("monitoring is switched on", _all(fleet_monitoring={"retention": "2d", "size": "1GB"}))


CHANGES = tuple(_changes())


def _apply(change: Change, playbooks: Playbooks, variables: Variables) -> list[str]:
    """What the run said that clients notice."""
    change.edit(variables)
    playbooks.use(variables)
    run = playbooks.run(f"inference.fleet.{change.playbook}", *change.arguments)
    change.then(variables)
    lines = "\n".join(run.messages).splitlines()
    return [line.strip() for line in lines if any(word in line for word in NOTICED)]


def _streams(virtual: str, direct: str) -> Iterator[Stream]:
    for model, (requests, streams) in STAND_INS.items():
        for path, key in (("/v1", virtual), (f"/models/{model}/v1", direct)):
            where = (f"{path}/chat/completions", model, key)
            yield Stream(f"{model} {path}", *where, requests, SHORT)
            yield Stream(f"{model} {path}{STREAMS}", *where, streams, STREAMED)
    yield Stream(VECTORS, "/v1/embeddings", VECTORS, virtual, 1, {"input": "Hi"})
    yield Stream(REAL, "/v1/chat/completions", REAL, virtual, 1, SHORT)


def _by_hand_streams() -> Iterator[Stream]:
    """As many as `pair` gets on both routes."""
    requests, streams = (2 * one for one in STAND_INS["pair"])
    yield Stream("pair", "/v1/chat/completions", "pair", "none", requests, SHORT)
    yield Stream(f"pair{STREAMS}", "/v1/chat/completions", "pair", "none", streams, STREAMED)


def _virtual_key(host: LabHost) -> str:
    """From LiteLLM's own API, which Caddy does not expose."""
    key = "sk-a-virtual-key-of-the-bench"
    address = host.run(
        "docker", "inspect", "--format", '{{(index .NetworkSettings.Networks "fleet-litellm").IPAddress}}', "litellm"
    ).strip()
    host.run(
        *("curl", "--silent", "--show-error", "--fail-with-body", "-H", "Content-Type: application/json"),
        *("-H", f"Authorization: Bearer {_secret(host, 'master_key')}", "-d", f'{{"key": "{key}"}}'),
        f"http://{address}:4000/key/generate",
    )
    return key


def _secret(host: LabHost, name: str) -> str:
    return host.run("cat", f"{SECRETS}/{name}").strip()


def _seen(window: Window, load: Load, of: Callable[[str], bool]) -> Seen:
    """A stream counts where it was under way, and is cut where it ended; any other request counts where it began."""
    begin, end = window.begin - load.begun, window.end - load.begun
    mine = [one for one in load.answers if of(one.stream)]
    began = [one for one in mine if begin <= one.started < end]
    requests = [one for one in began if not _is_stream(one)]
    streams = [one for one in mine if _is_stream(one) and one.started < end and begin <= one.started + one.took]
    failed = [one for one in requests if one.outcome != "200"]
    cut = [one for one in streams if one.outcome != "200" and one.started + one.took < end]
    waits = [one.first if _is_stream(one) and one.first else one.took for one in began]
    shown = [
        f"{one.stream}, sent at {one.started - begin:.1f} s, took {one.took:.1f} s: {' '.join(one.outcome.split())}"
        for one in (*failed, *cut)
    ]
    return Seen(
        len(requests), len(streams), len(failed), len(cut), max(waits, default=0.0), tuple(shown[:SHOWN_FAILURES])
    )


def _is_stream(answer: Answer) -> bool:
    return answer.stream.endswith(STREAMS)


def _table(rows: list[Row], load: Load) -> Findings:
    cells, notes = [], []
    for row in rows:
        seen, control = (_seen(one, load, lambda name: name != REAL) for one in (row.change, row.control))
        cores = (spent / window.seconds for spent, window in ((row.extra, row.change), (row.burnt, row.control)))
        cells.append(
            (
                row.name,
                f"{seen.requests}, {seen.streams}",
                f"{seen.failed}, {seen.cut}",
                f"{seen.longest:.2f} s",
                f"{control.longest:.2f} s",
                _beyond(seen, control),
                _took(row),
                "{:.2f}, {:.2f}".format(*cores),
                f"{row.change.memory / 1e6:.0f} MB",
            )
        )
        notes += [f"{row.name}: the run said: {line}" for line in row.noticed]
        notes += _failures(row.name, seen) + _failures(f"{row.name}, control", control)
    per_second = 2 * sum(requests for requests, _streams in STAND_INS.values())
    streams = 2 * sum(streams for _requests, streams in STAND_INS.values())
    return Findings(
        title="What clients notice of changes: the stand-in engine",
        columns=(
            *("change", "requests, streams", "failed, cut", "longest wait", "control"),
            *("beyond the control", "the run takes", "cores: change, control", "memory"),
        ),
        rows=tuple(cells),
        notes=(
            f"A lab host with Debian 13. {per_second} requests/s to two models, half of them under /v1 with a virtual "
            f"key, half on direct routes; 1/s embeddings; {streams:g}/s streams of {STREAM_SECONDS} s, which are whole "
            "with their [DONE]; and 1 request/s to a real vLLM, which uses a core. An engine starts in "
            f"{START_SECONDS} s. No client tries anything again.",
            "Longest wait: of a request, and to the first byte of a stream. Control: the same load without a change, "
            f"beside a container that uses as much processor time as the change did, for as long, but at most "
            f"{CONTROL_SECONDS} s. Cores: what each used beside the load, on average.",
            "The run takes: until the change is in force everywhere, and the last stream of what it replaced has "
            f"ended. {SETTLE_SECONDS} s after the run count as the change.",
            "Memory: of all processes of the host, at most, above the begin of the run.",
            *notes,
        ),
    )


def _real(rows: list[Row], load: Load) -> Findings:
    cells, notes = [], []
    for row in rows:
        seen, control = (_seen(one, load, lambda name: name == REAL) for one in (row.change, row.control))
        waits = (f"{seen.longest:.2f} s", f"{control.longest:.2f} s", f"{_ratio(seen, control):.1f} x")
        cells.append((row.name, str(seen.requests), str(seen.failed), *waits))
        notes += _failures(row.name, seen) + _failures(f"{row.name}, control", control)
    return Findings(
        title="What clients notice of changes: the real vLLM in the same run",
        columns=("change", "requests", "failed", "longest wait", "control", "of the control"),
        rows=tuple(cells),
        notes=("vLLM on the processor, 1 request/s with 1 token out, under /v1.", *notes),
    )


def _compared(ours: Row, load: Load, theirs: Row, other: Load) -> Findings:
    """Only the requests to `pair`."""
    cells, notes = [], []
    for name, row, its in (("`install`", ours, load), (theirs.name, theirs, other)):
        seen, control = (_seen(one, its, lambda stream: stream.startswith("pair")) for one in (row.change, row.control))
        lost = (seen.failed + seen.cut) / max(1, seen.requests + seen.streams)
        cells.append(
            (
                name,
                f"{seen.requests}, {seen.streams}",
                f"{seen.failed}, {seen.cut}",
                f"{lost:.1%}",
                f"{seen.longest:.2f} s",
                f"{control.longest:.2f} s",
                f"{_ratio(seen, control):.1f} x",
                _took(row),
            )
        )
        notes += _failures(name, seen)
    return Findings(
        title="An argument of two replicas changes: `install`, and by hand",
        columns=(
            *("", "requests, streams", "failed, cut", "of all", "longest wait", "control", "of the control"),
            "the run takes",
        ),
        rows=tuple(cells),
        notes=(
            "By hand: two services and a Caddy that tries a refused connection again for 10 s, on the same host, with "
            "the same engine, and as many requests and streams as the two replicas get.",
            *notes,
        ),
    )


def _beyond(seen: Seen, control: Seen) -> str:
    return f"{against(seen.longest - control.longest, WAIT_AIM, ' s')}, {_ratio(seen, control):.1f} x"


def _ratio(seen: Seen, control: Seen) -> float:
    return seen.longest / control.longest if control.longest else 0.0


def _took(row: Row) -> str:
    return "FAILED" if row.took is None else f"{row.took:.0f} s"


def _failures(name: str, seen: Seen) -> list[str]:
    return [f"{name}: {one}" for one in seen.shown]

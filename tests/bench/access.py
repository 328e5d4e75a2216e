"""What the hops cost: the same requests straight to a model's container, through Caddy, through Caddy and LiteLLM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from clients import Answer, Target, alone, post, together
from docker import DockerClient
from report import Findings, against
from stack import ENGINE_PORT, HOST, STAND_IN, VLLM, Engine, Stack, stack

STRAIGHT, DIRECT, GATEWAY = "straight to the container", "Caddy's direct route", "Caddy and LiteLLM"
PARTS = {"engine": "engine", "caddy": "Caddy", "litellm": "LiteLLM", "postgres": "PostgreSQL"}
CLIENTS = 8
ROUNDS, BLOCK = 20, 40
STREAM_ROUNDS, STREAM_BLOCK = 10, 10
LOAD_ROUNDS, LOAD_SECONDS = 6, 4
TOKENS, STREAMED_TOKENS = 1, 8
ADDED_AIM_MS, KEPT_AIM = 1, 95
IDLE_SHARE, IDLE_WINDOW_S, IDLE_PATIENCE_S = 0.05, 0.3, 20


@dataclass
class Path:
    """One way to the model, and what was found on it, by round. ms where nothing else is said."""

    name: str
    target: Target
    streamed: Target
    answers: list[list[float]] = field(default_factory=list)
    first_tokens: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    busy: list[dict[str, float]] = field(default_factory=list)
    """Processor time a request, by part, while there were many clients."""


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    with stack(docker, (VLLM, STAND_IN), say) as running:
        say("starting LiteLLM and Caddy")
        running.run_litellm()
        running.run_caddy()
        key = running.virtual_key()
        for engine, what in ((VLLM, "vLLM on the processor"), (STAND_IN, "the stand-in engine")):
            paths = _paths(running, engine, key)
            _measure(running, engine, paths, lambda text, label=what: say(f"{label}: {text}"))
            yield _hops(paths, what)
            yield _processor(paths, what)


def _paths(running: Stack, engine: Engine, key: str) -> list[Path]:
    straight = {"address": running.address(engine.container), "port": ENGINE_PORT}
    caddy = {"address": running.address("caddy"), "port": 443, "tls": running.trust("caddy"), "server_name": HOST}

    def path(name: str, where: Mapping[str, Any], url: str, used: str) -> Path:
        def target(**more: Any) -> Target:
            return Target(**where, request=post(HOST, url, used, chat(engine.model, **more)))

        return Path(name, target(), target(max_tokens=STREAMED_TOKENS, stream=True))

    return [
        path(STRAIGHT, straight, "/v1/chat/completions", "none"),
        path(DIRECT, caddy, f"/models/{engine.model}/v1/chat/completions", running.direct_key),
        path(GATEWAY, caddy, "/v1/chat/completions", key),
    ]


def chat(model: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hello! How can I help you today?"}]
    return {"model": model, "messages": messages, "max_tokens": TOKENS, "temperature": 0, **more}


def _measure(running: Stack, engine: Engine, paths: list[Path], say: Callable[[str], None]) -> None:
    """The paths take turns in every round, so that what else the machine does meets all of them."""
    for number in range(ROUNDS):
        say(f"one client, round {number + 1} of {ROUNDS}")
        for path in paths:
            settle(running, "litellm", "postgres")
            path.answers.append([answer.whole * 1000 for answer in alone(path.target, BLOCK)])
    for number in range(STREAM_ROUNDS):
        say(f"one client, streamed, round {number + 1} of {STREAM_ROUNDS}")
        for path in paths:
            settle(running, "litellm", "postgres")
            path.first_tokens.append([answer.first * 1000 for answer in alone(path.streamed, STREAM_BLOCK)])
    for number in range(LOAD_ROUNDS):
        say(f"{CLIENTS} clients, round {number + 1} of {LOAD_ROUNDS}")
        for path in paths:
            settle(running, "litellm", "postgres")
            before, begun = used(running, engine), time.process_time()
            answers = together(path.target, CLIENTS, LOAD_SECONDS)
            own = time.process_time() - begun
            after = used(running, engine)
            path.rates.append(rate(answers))
            spent = {part: after[part] - before[part] for part in after} | {"this program": own}
            path.busy.append({part: seconds * 1000 / len(answers) for part, seconds in spent.items()})


def rate(answers: list[Answer]) -> float:
    return len(answers) / LOAD_SECONDS


def used(running: Stack, engine: Engine) -> dict[str, float]:
    return {
        label: running.processor_seconds(engine.container if part == "engine" else part)
        for part, label in PARTS.items()
    }


def settle(running: Stack, *parts: str) -> None:
    """Wait until what LiteLLM does after its answers is done, so that no other path pays for it."""
    deadline = time.monotonic() + IDLE_PATIENCE_S
    before = sum(map(running.processor_seconds, parts))
    while time.monotonic() < deadline:
        time.sleep(IDLE_WINDOW_S)
        now = sum(map(running.processor_seconds, parts))
        if now - before < IDLE_SHARE * IDLE_WINDOW_S:
            return
        before = now


def added(path: list[list[float]], straight: list[list[float]]) -> float:
    """At the median: over the rounds, what a round's median is above that of the same round straight."""
    return median(median(mine) - median(theirs) for mine, theirs in zip(path, straight, strict=True))


def high(rounds: list[list[float]]) -> float:
    """99th percentile of them all."""
    return quantiles([value for block in rounds for value in block], n=100)[98]


def kept(path: list[float], straight: list[float]) -> float:
    """Throughput in % of that straight to the container, the median over the rounds."""
    return 100 * median(mine / theirs for mine, theirs in zip(path, straight, strict=True))


def _hops(paths: list[Path], what: str) -> Findings:
    straight = paths[0]
    rows = []
    for path in paths:
        more = added(path.answers, straight.answers)
        share = kept(path.rates, straight.rates)
        aimed = path.name == DIRECT
        rows.append(
            (
                path.name,
                f"{median(value for block in path.answers for value in block):.1f} ms",
                "" if path is straight else against(more, ADDED_AIM_MS, " ms") if aimed else f"{more:.1f} ms",
                f"{high(path.answers):.1f} ms",
                f"{median(value for block in path.first_tokens for value in block):.1f} ms",
                "" if path is straight else f"{added(path.first_tokens, straight.first_tokens):.1f} ms",
                f"{median(path.rates):.0f} ({min(path.rates):.0f} to {max(path.rates):.0f})",
                "" if path is straight else against(share, KEPT_AIM, "%", at_least=True) if aimed else f"{share:.1f}%",
            )
        )
    count = ROUNDS * BLOCK
    return Findings(
        title=f"The hops in front of a model: {what}",
        columns=(
            "path",
            "1 client, p50",
            "added",
            "p99",
            "streamed, first token p50",
            "added",
            f"{CLIENTS} clients, requests/s",
            "of straight",
        ),
        rows=tuple(rows),
        notes=(
            f"Chat, {TOKENS} token out ({STREAMED_TOKENS} streamed); {count} requests a path by one client in blocks "
            f"of {BLOCK}, {LOAD_ROUNDS} times {LOAD_SECONDS} s by {CLIENTS}; the paths take turns, LiteLLM being idle "
            "again before each. Connections stay open; Caddy over HTTPS, a virtual key for LiteLLM.",
            "Added, and of straight: the median over the rounds of the difference to, or the share of, the same round "
            "straight to the container. Everything shares this machine's cores, the program that asks included.",
        ),
    )


def _processor(paths: list[Path], what: str) -> Findings:
    """Where the machine's time goes: less a matter of what else it does than time that passes."""
    parts = [*PARTS.values(), "this program"]
    rows = []
    for path in paths:
        spent = {part: median(one[part] for one in path.busy) for part in parts}
        rows.append((path.name, *(f"{spent[part]:.2f} ms" for part in parts), f"{sum(spent.values()):.2f} ms"))
    return Findings(
        title=f"Processor time a request, {CLIENTS} clients: {what}",
        columns=("path", *parts, "all"),
        rows=tuple(rows),
        notes=("LiteLLM's has its query engine in it: WebAssembly under Node.js here, native in its published image.",),
    )

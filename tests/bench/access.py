"""What the hops cost: the same requests straight to a model's container, through Caddy, through Caddy and LiteLLM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from clients import Answer, Target, alone, post, together
from docker import DockerClient
from quiet import NOISE, quietest, settle
from report import Findings, against
from stack import ENGINE_PORT, HOST, STAND_IN, VLLM, Engine, Stack, stack

STRAIGHT, DIRECT, GATEWAY = "straight to the container", "Caddy's direct route", "Caddy and LiteLLM"
PARTS = {"engine": "engine", "caddy": "Caddy", "litellm": "LiteLLM", "postgres": "PostgreSQL"}
CLIENTS = 8
ROUNDS, BLOCK = 12, 40
STREAM_ROUNDS, STREAM_BLOCK = 6, 10
LOAD_ROUNDS, LOAD_SECONDS = 5, 3
TOKENS, STREAMED_TOKENS = 1, 8
PACED = Engine(
    "paced", STAND_IN.image, ("example/paced", "--served-model-name", "paced"), {"STANDIN_TOKEN_SECONDS": "0.005"}
)
ADDED_AIM_MS, KEPT_AIM = 1, 95


@dataclass(frozen=True)
class Path:
    """One way to the model."""

    name: str
    target: Target
    streamed: Target


@dataclass(frozen=True)
class Found:
    """Of one engine, by path and round: ms; of `busy` by part, processor time a request, under load."""

    answers: Mapping[str, list[list[float]]]
    first_tokens: Mapping[str, list[list[float]]]
    rates: Mapping[str, list[float]]
    busy: Mapping[str, list[dict[str, float]]]
    others: float
    """Share of the machine that other processes used, median of the rounds under load."""


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    with stack(docker, (VLLM, STAND_IN, PACED), say) as running:
        say("starting LiteLLM and Caddy")
        running.run_litellm()
        running.run_caddy()
        key = running.virtual_key()
        for engine, streaming, what in (
            (VLLM, VLLM, "vLLM on the processor"),
            (STAND_IN, PACED, "the stand-in engine"),
        ):
            paths = _paths(running, engine, streaming, key)
            found = _measure(running, engine, paths, lambda text, label=what: say(f"{label}: {text}"))
            yield _hops(found, what)
            yield _processor(found, what)


def _paths(running: Stack, engine: Engine, streaming: Engine, key: str) -> list[Path]:
    caddy = {"address": running.address("caddy"), "port": 443, "tls": running.trust("caddy"), "server_name": HOST}

    def path(name: str, used: str, url: str, through: Mapping[str, Any] | None = None) -> Path:
        def target(one: Engine, **more: Any) -> Target:
            where = through or {"address": running.address(one.container), "port": ENGINE_PORT}
            return Target(**where, request=post(HOST, url.format(one.model), used, chat(one.model, **more)))

        return Path(name, target(engine), target(streaming, max_tokens=STREAMED_TOKENS, stream=True))

    return [
        path(STRAIGHT, "none", "/v1/chat/completions"),
        path(DIRECT, running.direct_key, "/models/{}/v1/chat/completions", caddy),
        path(GATEWAY, key, "/v1/chat/completions", caddy),
    ]


def chat(model: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hello! How can I help you today?"}]
    return {"model": model, "messages": messages, "max_tokens": TOKENS, "temperature": 0, **more}


def _measure(running: Stack, engine: Engine, paths: list[Path], say: Callable[[str], None]) -> Found:
    """Every round measures all paths in turn, so that other load affects all of them."""
    containers = {label: engine.container if part == "engine" else part for part, label in PARTS.items()}
    names = [*(one.container for one in running.engines), "caddy", "litellm", "postgres"]

    def alone_in_turn() -> dict[str, list[float]]:
        return {one.name: _ms(_settled(running, alone, one.target, BLOCK), "whole") for one in paths}

    def streamed_in_turn() -> dict[str, list[float]]:
        return {one.name: _ms(_settled(running, alone, one.streamed, STREAM_BLOCK), "first") for one in paths}

    def together_in_turn() -> dict[str, tuple[float, dict[str, float]]]:
        return {one.name: _under_load(running, one.target, containers) for one in paths}

    one_client = quietest(running, names, ROUNDS, alone_in_turn, lambda text: say(f"one client, {text}"))
    streamed = quietest(running, names, STREAM_ROUNDS, streamed_in_turn, lambda text: say(f"streamed, {text}"))
    many = quietest(running, names, LOAD_ROUNDS, together_in_turn, lambda text: say(f"{CLIENTS} clients, {text}"))
    return Found(
        {one.name: [taken.found[one.name] for taken in one_client] for one in paths},
        {one.name: [taken.found[one.name] for taken in streamed] for one in paths},
        {one.name: [taken.found[one.name][0] for taken in many] for one in paths},
        {one.name: [taken.found[one.name][1] for taken in many] for one in paths},
        median(taken.others for taken in (*one_client, *streamed, *many)),
    )


def _settled(running: Stack, ask: Callable[[Target, int], list[Answer]], target: Target, count: int) -> list[Answer]:
    settle(running, "litellm", "postgres")
    return ask(target, count)


def _ms(answers: list[Answer], what: str) -> list[float]:
    return [getattr(answer, what) * 1000 for answer in answers]


def _under_load(running: Stack, target: Target, containers: Mapping[str, str]) -> tuple[float, dict[str, float]]:
    """Requests per second, and the processor time per request in each part."""
    settle(running, "litellm", "postgres")

    def used() -> dict[str, float]:
        return {label: running.processor_seconds(name) for label, name in containers.items()}

    before, begun = used(), time.process_time()
    answers = together(target, CLIENTS, LOAD_SECONDS)
    own, after = time.process_time() - begun, used()
    spent = {label: after[label] - before[label] for label in after} | {"client": own}
    return len(answers) / LOAD_SECONDS, {part: seconds * 1000 / len(answers) for part, seconds in spent.items()}


def added(path: list[list[float]], straight: list[list[float]]) -> float:
    """The median over the rounds of: a round's median minus the median of the same round without hops."""
    return median(median(mine) - median(theirs) for mine, theirs in zip(path, straight, strict=True))


def high(rounds: list[list[float]]) -> float:
    """99th percentile of all values."""
    return quantiles([value for block in rounds for value in block], n=100)[98]


def kept(path: list[float], straight: list[float]) -> float:
    """Throughput in % of that straight to the container, the median over the rounds."""
    return 100 * median(mine / theirs for mine, theirs in zip(path, straight, strict=True))


def _hops(found: Found, what: str) -> Findings:
    straight = found.answers[STRAIGHT]
    rows = []
    for name, blocks in found.answers.items():
        first, rates = found.first_tokens[name], found.rates[name]
        more, share = added(blocks, straight), kept(rates, found.rates[STRAIGHT])
        aimed, itself = name == DIRECT, name == STRAIGHT
        rows.append(
            (
                name,
                f"{_middle(blocks):.1f} ms",
                "" if itself else against(more, ADDED_AIM_MS, " ms") if aimed else f"{more:.1f} ms",
                f"{high(blocks):.1f} ms",
                "" if itself else f"{high(blocks) - high(straight):.1f} ms",
                f"{_middle(first):.1f} ms",
                "" if itself else f"{added(first, found.first_tokens[STRAIGHT]):.1f} ms",
                f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})",
                "" if itself else against(share, KEPT_AIM, "%", at_least=True) if aimed else f"{share:.1f}%",
            )
        )
    return Findings(
        title=f"The hops in front of a model: {what}",
        columns=(
            "path",
            "1 client, p50",
            "added",
            "p99",
            "added",
            "streamed, first token, p50",
            "added",
            f"{CLIENTS} clients, requests/s",
            "of straight",
        ),
        rows=tuple(rows),
        notes=(
            f"Chat, {TOKENS} token out ({STREAMED_TOKENS} streamed); {ROUNDS * BLOCK} requests per path by one client, "
            f"{BLOCK} at a time, and {LOAD_ROUNDS} times {LOAD_SECONDS} s by {CLIENTS} clients. The paths take turns; "
            "before each, LiteLLM is idle again. Connections stay open; Caddy over HTTPS, a virtual key for LiteLLM.",
            "Added at p50, and of straight: the median over the rounds of the difference to, or the share of, the "
            "same round straight to the container. All programs share this machine's cores, the client too.",
            f"Other programs used {found.others:.0%} of the machine. {NOISE}",
        ),
    )


def _middle(blocks: list[list[float]]) -> float:
    return median(value for block in blocks for value in block)


def _processor(found: Found, what: str) -> Findings:
    """Where the machine's time goes: less a matter of what else it does than time that passes."""
    parts = [*PARTS.values(), "client"]
    rows = []
    for name, rounds in found.busy.items():
        spent = {part: median(one[part] for one in rounds) for part in parts}
        rows.append((name, *(f"{spent[part]:.2f} ms" for part in parts), f"{sum(spent.values()):.2f} ms"))
    return Findings(
        title=f"Processor time a request, {CLIENTS} clients: {what}",
        columns=("path", *parts, "all"),
        rows=tuple(rows),
        notes=(
            "LiteLLM's time includes its query engine: WebAssembly under Node.js here, native in the published image.",
        ),
    )

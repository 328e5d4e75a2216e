"""Which settings make LiteLLM's hop cheap: each against LiteLLM as the role runs it, both running, alternating."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

from access import CLIENTS, added, chat, kept
from clients import WARM_UP, Target, alone, post, together
from docker import DockerClient
from playbook import BenchError
from report import Findings
from stack import ENGINE_PORT, HOST, LITELLM_PORT, STAND_IN, Gateway, Stack, stack

PAIRS, BLOCK = 30, 8
LOAD_PAIRS, LOAD_SECONDS = 4, 4
BASE, OTHER = "litellm", "litellm-other"
PRICE = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}


@dataclass(frozen=True)
class Setting:
    """What is changed, how, and the disadvantage. master: send the master key."""

    name: str
    gateway: Gateway = field(default_factory=Gateway)
    loses: str = ""
    master: bool = False


def _general(loses: str = "", **settings: object) -> Setting:
    name = ", ".join(f"{key}: {_yaml(value)}" for key, value in settings.items())
    return Setting(name, Gateway(config={"general_settings": settings}), loses)


def _environment(loses: str = "", **variables: str) -> Setting:
    name = " ".join(f"{key}={value}" for key, value in variables.items())
    return Setting(name, Gateway(environment=variables), loses)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


SETTINGS = (
    Setting("no change: same settings twice"),
    Setting("with the master key", master=True),
    Setting(
        "without Caddy on the way to the engine",
        Gateway(api_base=f"http://{STAND_IN.container}:{ENGINE_PORT}/v1"),
        "the choice of a replica, and of what is tried again",
    ),
    Setting(
        "--num_workers 2",
        Gateway(arguments=("--num_workers", "2")),
        "rpm limits count per worker without Redis; 400 MB more",
    ),
    Setting("--run_gunicorn", Gateway(arguments=("--num_workers", "1", "--run_gunicorn"))),
    _environment(LITELLM_LOG="ERROR", loses="a log line a request"),
    Setting("json_logs: true", Gateway(config={"litellm_settings": {"json_logs": True}})),
    _general(disable_spend_logs=True, loses="the record of each request; a key's sum stays"),
    _general(disable_error_logs=True, loses="the record of failed requests"),
    _general(disable_spend_updates=True, loses="spend per key"),
    _general(proxy_batch_write_at=60, loses="spend is up to a minute late"),
    _general(database_connection_pool_limit=50),
    _general(store_model_in_db=False),
    _general(user_api_key_cache_ttl=600, loses="a changed key may keep its previous rights for 10 minutes"),
    Setting("a price per token", Gateway(model_info=PRICE)),
    _environment(PYTHON_GC_THRESHOLD="20000,50,100"),
    _environment(LEGACY_MULTI_INSTANCE_RATE_LIMITING="true"),
    _environment(DISABLE_AIOHTTP_TRANSPORT="True"),
    Setting(
        "without PostgreSQL",
        Gateway(environment={"DATABASE_URL": ""}, config={"general_settings": {"database_url": None}}),
        "virtual keys, spend",
        master=True,
    ),
)


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    with stack(docker, (STAND_IN,), say) as running:
        say("starting Caddy and LiteLLM as the roles run them")
        running.run_caddy()  # the way to the engines
        running.run_litellm(BASE)
        straight = _target(running, STAND_IN.container, ENGINE_PORT, "none")
        base = _target(running, BASE, LITELLM_PORT, running.virtual_key(BASE))
        rows = []
        for number, setting in enumerate(SETTINGS, 1):
            say(f"setting {number} of {len(SETTINGS)}: {setting.name}")
            running.run_litellm(OTHER, setting.gateway)
            try:
                key = running.master_key if setting.master else running.virtual_key(OTHER)
                rows.append(_compared(running, setting, straight, base, _target(running, OTHER, LITELLM_PORT, key)))
            except BenchError as error:
                rows.append((setting.name, "", "", "", "", "", "", f"broken: {str(error)[:60]}"))
            finally:
                running.remove(OTHER)
        yield Findings(
            title="LiteLLM's settings, one at a time",
            columns=(
                "setting",
                "added at p50",
                "against as it is",
                f"{CLIENTS} clients, requests/s",
                "against as it is",
                "processor time a request",
                "against as it is",
                "what it loses",
            ),
            rows=tuple(rows),
            notes=(
                "Chat, 1 token out, the stand-in engine; straight to LiteLLM, without Caddy. As it is: LiteLLM as the "
                f"role runs it, in the same minute. Both take turns, {PAIRS} times {BLOCK} requests by one client and "
                f"{LOAD_PAIRS} times {LOAD_SECONDS} s by {CLIENTS} clients. The first row has the same settings twice: "
                "its differences are noise.",
                "Processor time: of LiteLLM's container with its query engine, over all requests.",
            ),
        )


def _target(running: Stack, name: str, port: int, key: str) -> Target:
    request = post(HOST, "/v1/chat/completions", key, chat(STAND_IN.model))
    return Target(running.address(name), port, request)


def _compared(running: Stack, setting: Setting, straight: Target, base: Target, other: Target) -> tuple[str, ...]:
    targets = {"straight": straight, BASE: base, OTHER: other}
    times: dict[str, list[list[float]]] = {name: [] for name in targets}
    rates: dict[str, list[float]] = {BASE: [], OTHER: []}
    before = {name: running.processor_seconds(name) for name in (BASE, OTHER)}
    for number in range(PAIRS):
        for name in sorted(targets, reverse=bool(number % 2)):
            times[name].append([answer.whole * 1000 for answer in alone(targets[name], BLOCK)])
    for number in range(LOAD_PAIRS):
        for name in sorted((BASE, OTHER), reverse=bool(number % 2)):
            rates[name].append(len(together(targets[name], CLIENTS, LOAD_SECONDS)) / LOAD_SECONDS)
    busy = {}
    for name in (BASE, OTHER):
        warm = WARM_UP * (PAIRS + LOAD_PAIRS * CLIENTS)
        requests = PAIRS * BLOCK + sum(rates[name]) * LOAD_SECONDS + warm
        busy[name] = (running.processor_seconds(name) - before[name]) * 1000 / requests
    mine, theirs = added(times[OTHER], times["straight"]), added(times[BASE], times["straight"])
    return (
        setting.name,
        f"{mine:.1f} ms",
        f"{_change(mine, theirs)} ({theirs:.1f} ms)",
        f"{median(rates[OTHER]):.0f}",
        f"{kept(rates[OTHER], rates[BASE]) - 100:+.0f}% ({median(rates[BASE]):.0f})",
        f"{busy[OTHER]:.1f} ms",
        f"{_change(busy[OTHER], busy[BASE])} ({busy[BASE]:.1f} ms)",
        setting.loses,
    )


def _change(value: float, base: float) -> str:
    return f"{100 * (value / base - 1):+.0f}%"

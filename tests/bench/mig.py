"""One GPU's MIG layout: planning time, destroyed instances, and kept instances in use, against clearing the GPU.

The alternative is what NVIDIA's mig-parted does: it leaves a GPU that has the set already, and
otherwise destroys every instance and recreates the set (see orders.py for its source).
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from statistics import median, quantiles

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import GpuInstance, Profile
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Step, plan_instances
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import Answer, NvidiaSmi
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device, Instance, instances
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import A30, A100, State, multisets, present, states
from docker import DockerClient
from orders import OFFER, WITHOUT_LAST, Search, accepts, try_orders
from playbook import BenchError
from report import Findings, against

SHAPES = {"A100-40GB": A100, "A30": A30}
AIM_MS = 10
ROUNDS = 5
SEED = 1
_amounts = count(1)

SEARCHED = (
    "sets made by the first order",
    "by a later one",
    "by none",
    "orders tried: median",
    "orders tried: most",
    "instances made and torn down for one set: most",
)

Names = tuple[str, ...]  # a set of profiles, each as often as it is wanted


@dataclass(frozen=True)
class Change:
    """A change from one layout to a set, planned. seconds: of processor time. calls: of nvidia-smi,
    those that change the GPU."""

    state: State
    names: Names
    seconds: float
    destroyed: int
    calls: int

    @property
    def same(self) -> bool:
        return _names(self.state) == self.names

    @property
    def cleared(self) -> int:
        """How many instances go when the GPU is cleared."""
        return 0 if self.same else len(self.state)

    @property
    def clear_calls(self) -> int:
        """`-dci`, `-dgi` for all at once, then `-cgi ... -C` for the set."""
        return 0 if self.same else 2 * bool(self.state) + bool(self.names)


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    changes = {}
    for name, profiles in SHAPES.items():
        say(f"planning every change of an {name}")
        changes[name] = list(_every_change(profiles))
    yield _planning(changes)
    yield _destroyed(changes["A100-40GB"])
    say("the same with an instance in use")
    yield _in_use(A100)
    say("trying orders of creation")
    yield _searches(A100)


def _every_change(profiles: tuple[Profile, ...]) -> Iterator[Change]:
    wishes = {names: _asked(names) for names in multisets(profiles)}
    for state in states(profiles):
        have = present(profiles, state)
        for names, asked in wishes.items():
            seconds, steps = _timed(profiles, have, asked)
            destroyed = sum(step.verb == "destroy" for step in steps)
            calls = sum(_calls(step.verb, len(step.destroys)) for step in steps)
            yield Change(state, names, seconds, destroyed, calls)


def _timed(
    profiles: tuple[Profile, ...], have: Sequence[GpuInstance], asked: Sequence[Instance]
) -> tuple[float, tuple[Step, ...]]:
    """Seconds of processor time, as in a module's run, for a GPU that is not in the planner's cache: a
    unique amount of memory makes the GPU new."""
    new = (replace(profiles[0], memory_gib=float(next(_amounts))), *profiles[1:])
    gc.disable()  # it would also scan the bench's own data
    begun = time.thread_time()
    steps = plan_instances(0, new, have, asked, {})
    took = time.thread_time() - begun
    gc.enable()
    return took, steps


@cache
def _calls(verb: str, computes: int) -> int:
    """The number of nvidia-smi calls for a step."""
    commands = []

    def run(command: Sequence[str], seconds: int) -> Answer:
        commands.append(command)
        return Answer(0, "")

    NvidiaSmi("nvidia-smi", run).carry_out(Step(verb, 0, 1, "1g.5gb", 19, 0, tuple(range(computes))))
    return len(commands)


def _planning(changes: dict[str, list[Change]]) -> Findings:
    rows = []
    for name, all_of_it in changes.items():
        milliseconds = sorted(change.seconds * 1000 for change in all_of_it)
        slowest = max(all_of_it, key=lambda change: change.seconds)
        have, asked = present(SHAPES[name], slowest.state), _asked(slowest.names)
        again = median(_timed(SHAPES[name], have, asked)[0] for _number in range(ROUNDS))
        rows.append(
            (
                f"{name}, {len(all_of_it):,} changes",
                f"{median(milliseconds):.2f} ms",
                against(quantiles(milliseconds, n=100)[-1], AIM_MS, " ms"),
                f"{milliseconds[-1]:.1f} ms",
                f"{again * 1000:.1f} ms",
            )
        )
    return Findings(
        title="Planning one GPU, from every layout to every set",
        columns=("", "median", "99th percentile", "longest", f"that one again, median of {ROUNDS}"),
        rows=tuple(rows),
        notes=(
            "Layout: instances with placements. Set: profiles with their counts. All that are possible on the GPU.",
            "Processor time, because other programs use this machine; each change once, without caches.",
        ),
    )


def _destroyed(changes: list[Change]) -> Findings:
    ours, cleared = sum(change.destroyed for change in changes), sum(change.cleared for change in changes)
    return Findings(
        title=f"Instances destroyed in the {len(changes):,} changes of an A100-40GB",
        columns=("", "plan_instances", "clear and recreate"),
        rows=(
            ("all changes together", f"{ours:,}", f"{cleared:,} ({cleared / ours:.2f} x as many)"),
            (
                "a change: median, most",
                _middle_and_most([change.destroyed for change in changes]),
                _middle_and_most([change.cleared for change in changes]),
            ),
            (
                "changes that destroy nothing",
                _share(sum(not change.destroyed for change in changes), len(changes)),
                _share(sum(not change.cleared for change in changes), len(changes)),
            ),
            (
                "calls of nvidia-smi that change the GPU: median, most",
                _middle_and_most([change.calls for change in changes]),
                _middle_and_most([change.clear_calls for change in changes]),
            ),
        ),
        notes=(
            "The unit tests prove for each of these changes that fewer are impossible.",
            "Every change counts once. How often each occurs on a host is unknown.",
            "Calls of clear and recreate: -dci, -dgi and one -cgi with -C, if the first order works; mig-parted calls "
            "NVML.",
        ),
    )


def _in_use(profiles: tuple[Profile, ...]) -> Findings:
    """One instance of each layout in use, another for every set; sets that the layout is already do not count."""
    dice = random.Random(SEED)
    changes = reached = possible = touched = 0
    within = _sets_around(profiles)
    for state in filter(None, states(profiles)):
        have = present(profiles, state)
        for names in multisets(profiles):
            if names == _names(state):
                continue
            used = dice.choice(have)
            changes += 1
            possible += names in within[used.profile, used.start or 0]
            try:
                steps = plan_instances(0, profiles, have, _asked(names), {(used.id or 0, 0): ["a container"]})
            except FleetError:
                continue
            reached += 1
            touched += any(step.instance == used.id for step in steps)
    if touched:
        raise BenchError(f"{touched} plans touch the instance in use")
    return Findings(
        title="The same with one instance in use, chosen at random",
        columns=("", "plan_instances", "clear and recreate"),
        rows=(
            (f"of {changes:,} changes, reached without touching it", _share(reached, changes), _share(0, changes)),
            ("of those that can be reached at all", _share(reached, possible), _share(0, possible)),
            ("where it cannot", "refused, nothing changed", "may stop half-way"),
        ),
        notes=(
            f"Layouts with at least one instance that are not the set already; random.Random({SEED}).",
            "mig-parted destroys instances one by one until the instance in use refuses; its maintainers advise to "
            "stop all workloads of the GPU first (NVIDIA/mig-parted #119).",
        ),
    )


def _sets_around(profiles: tuple[Profile, ...]) -> dict[tuple[str, int], set[Names]]:
    """By profile and start of an instance: every set that some layout with that very instance has."""
    around: dict[tuple[str, int], set[Names]] = {}
    for state in states(profiles):
        for place in state:
            around.setdefault(place, set()).add(_names(state))
    return around


def _searches(profiles: tuple[Profile, ...]) -> Findings:
    sets = [names for names in multisets(profiles) if names]
    refused = [names for names in sets if not accepts(plan_instances(0, profiles, (), _asked(names), {}))]
    if refused:
        raise BenchError(f"the simulated driver refuses the placements of {len(refused)} sets, such as {refused[0]}")
    reported = [_reported([try_orders(names, offer) for names in sets]) for offer in (OFFER, WITHOUT_LAST)]
    return Findings(
        title=f"Orders of creation tried for the {len(sets)} sets of an A100-40GB, the GPU being empty",
        columns=("", "explicit placements", "mig-parted's search", "the same without the driver's last choice"),
        rows=tuple(zip(SEARCHED, _reported([Search(1, 0, True)] * len(sets)), *reported, strict=True)),
        notes=(
            "Simulated, not measured: mig-parted's search, reimplemented from its source, with the lab's rule for the "
            "driver's placements. The rule agrees with published captures; NVIDIA does not document it.",
            "Last choice: for a 1g.10gb the driver uses start 6 only if no other start is free, as in a capture of an "
            "H100. This causes the difference of the last two columns.",
            "No limit: all orders were tried.",
        ),
    )


def _reported(searches: Sequence[Search]) -> tuple[str, ...]:
    """In the order of SEARCHED."""
    counts = (
        sum(one.found and one.orders == 1 for one in searches),
        sum(one.found and one.orders > 1 for one in searches),
        sum(not one.found for one in searches),
        median(one.orders for one in searches),
        max(one.orders for one in searches),
        max(one.torn_down for one in searches),
    )
    return tuple(f"{value:g}" for value in counts)


def _asked(names: Names) -> tuple[Instance, ...]:
    return instances(Device.parse(name, "layout") for name in names)


def _names(state: State) -> Names:
    return tuple(sorted(name for name, _start in state))


def _middle_and_most(counts: Sequence[int]) -> str:
    return f"{median(counts):g}, {max(counts)}"


def _share(some: int, of: int) -> str:
    return f"{some / of:.1%}"

"""How each container is replaced: side by side, one instead of the other, or removed first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    REPLACE,
    Action,
    Container,
    Desired,
    Plan,
    Spec,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.room import Room, arrange

CHANGED = "changed: command"
GB = 10**9


def spec(name: str, *devices: str) -> Spec:
    return Spec(name, "image", (), (), {}, (), ("net",), devices, {}, "no", 0, "private")


def found(name: str, *devices: str, status: str = "running") -> Container:
    return Container(f"id-{name}", spec(name, *devices), status)


def replaced(name: str, *devices: str) -> Action:
    desired = Desired(spec(name, *devices), name.split("-")[1], True, 60)
    return Action(REPLACE, name, desired, f"id-{name}", detail=CHANGED, drain=120)


def arranged(actions: Sequence[Action], containers: Sequence[Container], room: Room) -> list[Action]:
    return list(arrange(Plan(tuple(actions), ()), containers, room).actions)


def ways(
    actions: Sequence[Action], containers: Sequence[Container], room: Room
) -> list[tuple[str, bool, tuple[str, ...]]]:
    return [
        (str(one), one.beside, one.desired.spec.devices if one.desired else ())
        for one in arranged(actions, containers, room)
    ]


MEANWHILE = f"replace vllm-a-1 ({CHANGED}; the previous one serves meanwhile)"


def test_a_free_device_takes_the_successor() -> None:
    room = Room(spare={"vllm-a-1": ("G2",)}, memory=9 * GB, used={"vllm-a-1": 3 * GB})
    assert ways([replaced("vllm-a-1", "G1")], [found("vllm-a-1", "G1")], room) == [(MEANWHILE, True, ("G2",))]


def test_the_successor_has_the_nodes_of_its_own_devices() -> None:
    room = Room({"vllm-a-1": ("G2",)}, 9 * GB, nodes=lambda devices: tuple(f"/dev/{one}" for one in devices))
    (action,) = arranged([replaced("vllm-a-1", "G1")], [found("vllm-a-1", "G1")], room)
    assert action.wanted.spec.nodes == ("/dev/G2",)


def test_a_model_that_moves_to_other_devices_has_room_there() -> None:
    room = Room(memory=9 * GB)
    assert ways([replaced("vllm-a-1", "G2", "G3")], [found("vllm-a-1", "G1")], room) == [
        (MEANWHILE, True, ("G2", "G3"))
    ]


def test_a_model_without_devices_needs_memory_alone() -> None:
    here = [found("vllm-a-1")]
    assert ways([replaced("vllm-a-1")], here, Room(memory=3 * GB, used={"vllm-a-1": 3 * GB})) == [(MEANWHILE, True, ())]
    ((text, beside, _devices),) = ways([replaced("vllm-a-1")], here, Room(memory=2 * GB, used={"vllm-a-1": 3 * GB}))
    assert (beside, text) == (
        False,
        f"replace vllm-a-1 ({CHANGED}; no free memory: clients are without a for the whole start)",
    )


def test_without_a_device_the_run_says_how_long_clients_are_without_the_model() -> None:
    room = Room(memory=9 * GB, took={"a": 140})
    assert ways([replaced("vllm-a-1", "G1")], [found("vllm-a-1", "G1")], room) == [
        (
            f"replace vllm-a-1 ({CHANGED}; no free device: clients are without a for about 140 s, as long as the last "
            "start took)",
            False,
            ("G1",),
        )
    ]


def test_one_spare_device_is_enough_for_all_replicas() -> None:
    names = ("vllm-a-1", "vllm-a-2", "vllm-a-3")
    actions = [replaced(name, f"G{number}") for number, name in enumerate(names)]
    here = [found(name, f"G{number}") for number, name in enumerate(names)]
    room = Room(spare={"vllm-a-1": ("G9",)}, memory=GB, used=dict.fromkeys(names, GB))
    assert [(beside, devices) for _text, beside, devices in ways(actions, here, room)] == [
        (True, ("G9",)),
        (True, ("G0",)),
        (True, ("G1",)),
    ]


def test_without_a_spare_device_the_other_replicas_serve() -> None:
    actions = [replaced("vllm-a-1", "G1"), replaced("vllm-a-2", "G2")]
    here = [found("vllm-a-1", "G1"), found("vllm-a-2", "G2")]
    for one in arranged(actions, here, Room(memory=GB)):
        assert not one.beside
        assert one.detail == f"{CHANGED}; the other replicas serve meanwhile"


def test_models_share_the_memory() -> None:
    actions = [replaced("vllm-a-1"), replaced("vllm-b-1")]
    here = [found("vllm-a-1"), found("vllm-b-1")]
    room = Room(memory=5 * GB, used={"vllm-a-1": 3 * GB, "vllm-b-1": 3 * GB})
    assert [one.beside for one in arranged(actions, here, room)] == [True, False]


@pytest.mark.parametrize("status", ["exited", "created", "dead"])
def test_a_container_that_serves_nobody_is_replaced_without_a_word(status: str) -> None:
    action = replaced("vllm-a-1", "G1")
    assert arranged([action], [found("vllm-a-1", "G1", status=status)], Room()) == [action]


def test_models_that_exchange_their_devices_are_removed_first() -> None:
    actions = [replaced("vllm-a-1", "G2"), replaced("vllm-b-1", "G1")]
    here = [found("vllm-a-1", "G1"), found("vllm-b-1", "G2")]
    assert [str(one) for one in arranged(actions, here, Room(memory=GB))] == [
        f"remove vllm-a-1 ({CHANGED})",
        f"create vllm-a-1 ({CHANGED})",
        "start vllm-a-1",
        f"remove vllm-b-1 ({CHANGED})",
        f"create vllm-b-1 ({CHANGED})",
        "start vllm-b-1",
    ]
    assert all(one.drain == 120 for one in arranged(actions, here, Room()) if one.verb == "remove")


def test_other_actions_stay_as_they_are() -> None:
    other = Action("create", "vllm-c-1")
    assert arranged([other], [], Room()) == [other]

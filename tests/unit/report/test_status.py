"""The status of hosts, as the playbook status prints it for a person and for a program."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.report.status import (
    difference_lines,
    document,
    down_models,
    host_status,
    model_table,
    status_text,
    without_status,
)
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
URL = "https://gpu1.example.com"
VLLM, CADDY = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"  # IDs of images
DIGESTS = {VLLM: f"sha256:c1c9f6fd5c10{'0' * 52}", CADDY: f"sha256:f2a1290d0463{'0' * 52}"}
RESTORE = {"record": None, "unit": None, "text": ["no restore has been recorded on this host"]}


def container(**changes: Any) -> dict[str, Any]:
    """As model_containers returns it."""
    return {
        "name": "vllm-qwen3-8b-1",
        "model": "qwen3-8b",
        "id": "0123",
        "status": "running",
        "ready": True,
        "wanted": True,
        "started_at": "2026-11-24T11:00:00.123456789Z",
        "devices": ["GPU-1"],
        "device": "gpu 0",
        "image": "vllm/vllm-openai:v0.31.0",
        "image_id": VLLM,
        "exit_code": None,
        "restarts": 0,
        "log": [],
        **changes,
    }


def status(
    *entries: dict[str, Any],
    containers: tuple[dict[str, Any], ...] = (),
    services: tuple[dict[str, Any], ...] = (),
    actions: tuple[str, ...] = (),
    trouble: tuple[str, ...] = (),
    restore: dict[str, Any] = RESTORE,
    unused: tuple[str, ...] = (),
    digests: dict[str, str] | None = None,
) -> dict[str, Any]:
    answer = {
        "containers": list(containers),
        "actions": list(actions),
        "trouble": list(trouble),
        "unused_images": list(unused),
        "digests": DIGESTS if digests is None else digests,
    }
    return host_status({**fleet(*entries).public(), "base_url": URL}, answer, services, restore)


def cells(*containers: dict[str, Any], **changes: Any) -> dict[str, str]:
    """The only row of the models' table, by column name. A cell may contain single blanks."""
    head, row = model_table(status(entry(**changes), containers=containers)["models"], NOW)
    starts = [head.index(word) for word in head.split()]
    ends = [*starts[1:], None]
    return {head[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}


# The models' table


def test_is_one_aligned_line_a_model_under_a_head() -> None:
    made = status(
        entry(replicas=2),
        entry(name="voice", type="tts", devices={"cpu": True}),
        containers=(container(), container(name="vllm-qwen3-8b-2", device="gpu 1")),
    )
    assert model_table(made["models"], NOW) == [
        "MODEL     TYPE  READY  DEVICE        IMAGE                     DIGEST        UP     ENDPOINT",
        "qwen3-8b  chat  2/2    gpu 0, gpu 1  vllm/vllm-openai:v0.31.0  c1c9f6fd5c10  1h 0m  https://gpu1.example.com/v1",
        "voice     tts   0/1    -             vllm/vllm-omni:v0.30.0    -             -      https://gpu1.example.com/v1",
    ]


def test_of_no_models_is_the_head() -> None:
    assert len(model_table(status()["models"], NOW)) == 1


def test_counts_the_replicas_that_answer_against_those_wanted() -> None:
    assert cells(container(), container(ready=False), replicas=3)["READY"] == "1/3"


def test_says_that_a_model_is_stopped() -> None:
    row = cells(container(status="exited", ready=False), state="stopped")
    assert (row["READY"], row["UP"], row["ENDPOINT"]) == ("0/0 stopped", "-", "-")


def test_leaves_absent_models_out() -> None:
    assert status(entry(state="absent"))["models"] == []


def test_leaves_the_containers_of_other_models_out() -> None:
    assert cells(container(model="other", device="gpu 7"))["DEVICE"] == "-"


def test_names_the_device_of_each_replica_in_their_order_and_the_missing_replica() -> None:
    replicas = [container(device=one) for one in ("gpu 1 3g.20gb@4", "gpu 0 3g.20gb@0", "cpu")]
    replicas.insert(1, container(name="vllm-qwen3-8b-2", status="missing", device="-", ready=False))
    row = model_table(status(entry(replicas=4), containers=tuple(replicas))["models"], NOW)[1]
    assert "  gpu 1 3g.20gb@4, vllm-qwen3-8b-2 missing, gpu 0 3g.20gb@0, cpu  " in row


def test_is_up_since_its_oldest_running_replica_started() -> None:
    young, old, ended = "2026-11-24T11:59:00Z", "2026-11-24T11:50:00Z", "2026-11-20T00:00:00Z"
    replicas = [container(started_at=young), container(started_at=old), container(started_at=ended, status="exited")]
    assert cells(*replicas, replicas=3)["UP"] == "10m 0s"


@pytest.mark.parametrize(
    ("started_at", "up"),
    [
        ("2026-11-24T11:59:59.999Z", "0m 1s"),
        ("2026-11-24T11:00:01Z", "59m 59s"),
        ("2026-11-24T11:00:00Z", "1h 0m"),
        ("2026-11-23T12:00:01Z", "23h 59m"),
        ("2026-11-21T07:30:00Z", "3d 4h"),
        ("2026-11-24T12:00:05Z", "0m 0s"),  # the host's clock is ahead
    ],
)
def test_tells_ages_in_two_units(started_at: str, up: str) -> None:
    assert cells(container(started_at=started_at))["UP"] == up


# Text for a person

SERVICES = (
    {
        "Names": ["/litellm"],
        "Status": "Up 3 minutes (healthy)",
        "Image": "litellm/litellm:v1.106.2",
        "ImageID": "sha256:1",
    },
    {"Names": ["/caddy"], "Status": "Exited (1) 5 seconds ago", "Image": "caddy:2.11.7", "ImageID": CADDY},
)


def test_a_host_is_its_name_and_a_block_for_each_part() -> None:
    """Services are sorted by name. Names from Docker begin with a slash."""
    made = status(
        entry(),
        containers=(container(),),
        services=SERVICES,
        actions=("create vllm-b-1 (missing)", "start vllm-b-1"),
        trouble=("GPU 0: fell off the bus\n  see dmesg",),
        restore={**RESTORE, "text": ["restore of 2026-01-01", "  checks  1.0 s"]},
    )
    assert status_text("gpu1", made, NOW).splitlines() == [
        "gpu1",
        "  MODEL     TYPE  READY  DEVICE  IMAGE                     DIGEST        UP     ENDPOINT",
        "  qwen3-8b  chat  1/1    gpu 0   vllm/vllm-openai:v0.31.0  c1c9f6fd5c10  1h 0m  https://gpu1.example.com/v1",
        "",
        "  added to args for the families of models (docs/models.md):",
        "    qwen3-8b: enable-auto-tool-choice, reasoning-parser qwen3, tool-call-parser hermes",
        "",
        "  SERVICE  STATUS                    IMAGE                     DIGEST",
        "  caddy    Exited (1) 5 seconds ago  caddy:2.11.7              f2a1290d0463",
        "  litellm  Up 3 minutes (healthy)    litellm/litellm:v1.106.2  -",
        "",
        "  restore of 2026-01-01",
        "    checks  1.0 s",
        "",
        "  install would:",
        "    create vllm-b-1 (missing)",
        "    start vllm-b-1",
        "",
        "  the GPUs are in trouble:",
        "    GPU 0: fell off the bus",
        "      see dmesg",
    ]


def test_lists_the_images_that_nothing_uses() -> None:
    one = status(unused=("vllm/vllm-openai:v0.1.0 (21.0 GB)",))
    assert one["unused_images"] == ["vllm/vllm-openai:v0.1.0 (21.0 GB)"]
    assert status_text("gpu1", one, NOW).splitlines()[-2:] == [
        "  images that nothing uses (playbook prune_images removes them):",
        "    vllm/vllm-openai:v0.1.0 (21.0 GB)",
    ]


def test_a_drained_host_says_so_first() -> None:
    answer = {"containers": [], "actions": [], "trouble": [], "unused_images": [], "digests": {}}
    one = host_status({**fleet().public(), "base_url": URL}, answer, (), RESTORE, "2026-11-24T12:00:00Z")
    assert one["drained_since"] == "2026-11-24T12:00:00Z"
    assert status_text("gpu1", one, NOW).splitlines()[1] == (
        "  drained since 2026-11-24T12:00:00Z: Caddy refuses requests for models; the playbook undrain ends this"
    )
    assert status()["drained_since"] is None
    assert "drained" not in status_text("gpu1", status(), NOW)


def test_what_there_is_nothing_of_has_no_block() -> None:
    text = status_text("gpu1", status(), NOW)
    assert "install would" not in text and "trouble" not in text
    assert text.endswith("\n\n  no restore has been recorded on this host")


def test_a_host_that_could_not_be_asked_is_its_name_with_why() -> None:
    assert status_text("gpu1", without_status("Docker does not answer"), NOW) == "gpu1: Docker does not answer"
    assert status_text("gpu1", without_status(None), NOW) == "gpu1: not asked: an earlier task failed on this host"


DEAD = container(status="exited", ready=False, exit_code=137, restarts=5, log=["loading", "out of memory"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "exited", "exit_code": 1}, "is exited with exit code 1"),
        (
            {"status": "restarting", "exit_code": 0, "restarts": 1},
            "is restarting with exit code 0, restarts by Docker: 1",
        ),
        ({"status": "running"}, "runs for 1h 0m, but does not answer"),
        ({"status": "running", "restarts": 3}, "runs for 1h 0m, but does not answer, restarts by Docker: 3"),
        ({"status": "missing", "started_at": ""}, "has no container"),
        ({"status": "created", "started_at": ""}, "is created"),
    ],
)
def test_says_why_a_replica_does_not_answer(changes: dict[str, Any], why: str) -> None:
    text = status_text("gpu1", status(entry(), containers=(container(ready=False, **changes),)), NOW)
    assert f"\n  down:\n    vllm-qwen3-8b-1: {why}" in text


def test_a_replica_that_is_down_has_the_end_of_its_log() -> None:
    assert (
        "  down:\n"
        "    vllm-qwen3-8b-1: is exited with exit code 137, restarts by Docker: 5\n"
        "      the end of its log (the playbook logs with -e model=qwen3-8b -e lines=0 prints all):\n"
        "        loading\n"
        "        out of memory\n"
    ) in status_text("gpu1", status(entry(), containers=(DEAD,)), NOW)


def test_a_replica_that_answers_or_is_to_be_stopped_is_not_down() -> None:
    assert "down" not in status_text("gpu1", status(entry(), containers=(container(),)), NOW)
    assert "down" not in status_text("gpu1", status(entry(state="stopped"), containers=(DEAD,)), NOW)


@pytest.mark.parametrize(
    ("fail_on", "down"),
    [
        ("model", ["a: 0 of 2 replicas answer"]),
        ("replica", ["a: 0 of 2 replicas answer", "b: 1 of 2 replicas answer"]),
        ("never", []),
    ],
)
def test_which_models_are_down_is_a_setting(fail_on: str, down: list[str]) -> None:
    entries = [entry(name=name, replicas=2) for name in ("a", "b", "c")]
    entries.append(entry(name="d", state="stopped"))
    answers = [container(model=name) for name in ("b", "c", "c")]
    models = status(*entries, containers=(container(model="a", ready=False), *answers))["models"]
    assert down_models(models, fail_on) == down


# JSON for a program


def test_a_model_has_its_numbers_its_url_and_its_containers() -> None:
    (model,) = status(entry(replicas=2), containers=(container(), container(ready=False, status="missing")))["models"]
    first, second = model.pop("containers")
    assert model == {
        "name": "qwen3-8b",
        "type": "chat",
        "source": "Qwen/Qwen3-8B",
        "state": "running",
        "ready": 1,
        "wanted": 2,
        "image": "vllm/vllm-openai:v0.31.0",
        "added_args": ["enable-auto-tool-choice", "reasoning-parser qwen3", "tool-call-parser hermes"],
        "endpoint": f"{URL}/v1",
        "running_since": "2026-11-24T11:00:00.123456789Z",
    }
    assert first == {
        "name": "vllm-qwen3-8b-1",
        "status": "running",
        "ready": True,
        "device": "gpu 0",
        "devices": ["GPU-1"],
        "image": "vllm/vllm-openai:v0.31.0",
        "started_at": "2026-11-24T11:00:00.123456789Z",
        "exit_code": None,
        "restarts": 0,
        "log": [],
        "image_id": VLLM,
        "digest": DIGESTS[VLLM],
    }
    assert (second["ready"], second["status"]) == (False, "missing")


def test_a_model_without_a_route_or_a_replica_has_null_there() -> None:
    (model,) = status(entry(state="stopped"))["models"]
    assert (model["endpoint"], model["running_since"], model["wanted"]) == (None, None, 0)


def test_the_document_has_all_hosts_in_their_order_with_the_same_keys() -> None:
    hosts = {"b": status(entry(), services=SERVICES), "a": without_status("unreachable")}
    made = json.loads(json.dumps(document(hosts, NOW)))
    assert (made["schema"], made["time"], list(made["hosts"])) == (1, "2026-11-24T12:00:00Z", ["b", "a"])
    assert made["hosts"]["a"].keys() == made["hosts"]["b"].keys()
    assert made["hosts"]["b"]["services"][0] == {
        "name": "caddy",
        "status": "Exited (1) 5 seconds ago",
        "image": "caddy:2.11.7",
        "image_id": CADDY,
        "digest": DIGESTS[CADDY],
    }
    assert made["images_that_differ"] == {}


def test_no_secret_of_the_inventory_is_in_it() -> None:
    secret = entry(env={"API_TOKEN": "hidden"})
    assert "hidden" not in json.dumps(status(secret, containers=(container(),)))


# Images


def test_replicas_with_different_images_show_both_digests() -> None:
    other = f"sha256:{'d' * 64}"
    replicas = (container(), container(image_id=other), container(image_id=""))
    made = status(entry(replicas=3), containers=replicas, digests={**DIGESTS, other: f"sha256:{'9' * 64}"})
    assert "  c1c9f6fd5c10, 999999999999  " in model_table(made["models"], NOW)[1]


def hosts(**digests: str | None) -> dict[str, Any]:
    """Each runs a model and Caddy; its image of vLLM has the digest, or none."""
    return {
        name: status(
            entry(),
            containers=(container(image_id=f"sha256:id-of-{digest or name}"),),
            services=SERVICES[1:],
            digests={CADDY: DIGESTS[CADDY], **({f"sha256:id-of-{digest}": f"sha256:{digest}"} if digest else {})},
        )
        for name, digest in digests.items()
    }


def test_a_tag_that_is_another_image_on_another_host_is_reported() -> None:
    """As after the owner of the tag, or an attacker, pushed another image."""
    found = hosts(gpu1="aaaaaaaaaaaaaaaa", gpu2="bbbbbbbbbbbbbbbb", gpu3="aaaaaaaaaaaaaaaa")
    assert document(found, NOW)["images_that_differ"] == {
        "vllm/vllm-openai:v0.31.0": {"sha256:aaaaaaaaaaaaaaaa": ["gpu1", "gpu3"], "sha256:bbbbbbbbbbbbbbbb": ["gpu2"]}
    }
    assert difference_lines(found) == [
        "vllm/vllm-openai:v0.31.0: aaaaaaaaaaaa on gpu1, gpu3; bbbbbbbbbbbb on gpu2",
    ]


def test_the_same_digest_everywhere_is_no_difference() -> None:
    assert difference_lines(hosts(gpu1="a", gpu2="a")) == []
    assert difference_lines({**hosts(gpu1="a"), "gpu2": without_status("unreachable")}) == []


def test_images_that_were_loaded_are_compared_by_their_id() -> None:
    assert difference_lines(hosts(gpu1=None, gpu2="a")) == [
        "vllm/vllm-openai:v0.31.0: id-of-gpu1 on gpu1; a on gpu2",
    ]
    same = {name: status(entry(), containers=(container(),), digests={}) for name in ("gpu1", "gpu2")}
    assert difference_lines(same) == []


def test_a_host_alone_may_have_two_images_of_one_tag() -> None:
    one = status(entry(replicas=2), containers=(container(), container(image_id=CADDY)))
    assert difference_lines({"gpu1": one}) == [
        "vllm/vllm-openai:v0.31.0: c1c9f6fd5c10 on gpu1; f2a1290d0463 on gpu1",
    ]


def test_the_images_of_recipes_are_built_on_each_host() -> None:
    built = {
        name: status(entry(), containers=(container(image="inference-fleet/recipe-a:1", image_id=name),), digests={})
        for name in ("gpu1", "gpu2")
    }
    assert difference_lines(built) == []

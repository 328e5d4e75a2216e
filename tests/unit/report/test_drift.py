"""What differs from the inventory, from the results of tasks in check mode."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.report.drift import (
    KINDS,
    between_hosts,
    counts,
    document,
    drift_text,
    failing,
    host_entry,
    metrics_text,
    newest_kernel,
)

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
ONE, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
DRIVER = {"loaded": None, "library": None, "module": None}
CLOCK = {"ahead": 0.0, "error": 0.02, "synchronized": True}
VERSIONS = {
    "fault": None,
    "system": "debian 12",
    "kernel": "6.1.0-18-amd64",
    "kernels": ["6.1.0-18-amd64"],
    "docker": "28.2.2",
    "driver": DRIVER,
    "collection": "0.2.0",
    "clock": CLOCK,
}
FACT = {"metrics_alias": "fleet-metrics", "open_alias": "fleet-open-"}
NETWORKS: dict[str, Any] = {"create": [], "recreate": {}, "remove": []}
STATUS: dict[str, Any] = {"fault": None, "models": [], "services": [], "install_would": [], "gpu_trouble": []}


def results(
    versions: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    **registered: Any,
) -> dict[str, Any]:
    """Those of a host that equals its inventory, with changes."""
    return {
        "fleet": FACT,
        "__drift_host": {**VERSIONS, **(versions or {})},
        "__fleet_host": {"checks": [], "gpu_faults": [], "networks": NETWORKS, **(host or {})},
        "__drift_status": {"status": {**STATUS, **(status or {})}},
        "__keys": {"actions": [], "others": ["fleet-metrics", "fleet-open-qwen3-8b"]},
        **registered,
    }


def found(*given: Any, **changes: Any) -> list[tuple[str, ...]]:
    """The differences as tuples."""
    return [tuple(one.values()) for one in host_entry(results(*given, **changes))["differences"]]


def service(changed: bool = True, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    return {"changed": changed, "diff": {"before": before or {}, "after": after or {}}, **more}


# One host


def test_a_host_that_equals_its_inventory_has_no_difference() -> None:
    quiet = service(changed=False)
    entry = host_entry(
        results(__caddy=quiet, __litellm_config={"changed": False, "paths": [], "diff": [], "others": []})
    )
    assert (entry["fault"], entry["differences"]) == (None, [])
    assert entry["versions"] == {
        "system": "debian 12",
        "kernel": "6.1.0-18-amd64",
        "docker": "28.2.2",
        "collection": "0.2.0",
        "driver": None,
    }
    assert drift_text({"gpu1": entry}, []) == "gpu1: no difference"
    assert failing({"gpu1": entry}, []) == {}


def test_a_host_that_cannot_be_reached_is_a_difference() -> None:
    entry = host_entry({"__drift_host": {"fault": "Failed to connect: timed out\nmore"}})
    assert entry["fault"] == "Failed to connect: timed out\nmore"
    assert [one["kind"] for one in entry["differences"]] == ["host"]
    assert (entry["versions"], entry["clock"]) == ({}, None)
    assert drift_text({"gpu1": entry}, []) == "gpu1: Failed to connect: timed out"
    assert failing({"gpu1": entry}, []) == {"gpu1": "1 difference, see above"}


@pytest.mark.parametrize("missing", ["__drift_host", "__fleet_host", "__keys"])
def test_a_host_whose_comparison_was_cut_off_is_not_without_difference(missing: str) -> None:
    given = results()
    del given[missing]
    assert host_entry(given)["fault"] == "not compared: an earlier task failed on this host"


def test_without_docker_the_checks_of_the_host_are_the_comparison() -> None:
    check = {"name": "docker", "state": "install", "found": "installed, but does not answer", "remedy": "install does"}
    given = results({"docker": None}, host={"checks": [check], "networks": {**NETWORKS, "create": [{"name": "a"}]}})
    del given["__keys"], given["__drift_status"]
    entry = host_entry(given)
    assert entry["fault"] is None
    assert [tuple(one.values()) for one in entry["differences"]] == [
        ("host", "docker", "installed, but does not answer", "", "install")
    ]


@pytest.mark.parametrize(
    ("name", "state", "expected"),
    [
        ("packages", "install", [("host", "packages", "as found", "", "install")]),
        ("port 443", "fault", [("host", "port 443", "as found", "", "the remedy")]),
        ("runtime", "install", [("gpu", "runtime", "as found", "", "install")]),
        ("disk", "warn", []),
        ("kernel", "ok", []),
        ("mig", "install", []),  # its steps are among those of the models
    ],
)
def test_of_the_checks_those_count_that_install_acts_on_or_fails_for(name: str, state: str, expected: Any) -> None:
    check = {"name": name, "state": state, "found": "as found", "remedy": "the remedy"}
    assert found(host={"checks": [check]}) == expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (
            ["GPU 0: create 3g.20gb at 0"],
            ("gpu", "GPU 0", "lacks: create 3g.20gb at 0", "as in the inventory", "install"),
        ),
        (["pull vllm/vllm-openai:v1"], ("image", "vllm/vllm-openai:v1", "not on this host", "", "install")),
        (
            ["create vllm-a-1 (missing)", "start vllm-a-1"],
            ("container", "vllm-a-1", "missing", "as in the inventory", "install"),
        ),
        (
            ["remove vllm-a-1 (changed: env)", "create vllm-a-1 (changed: env)", "start vllm-a-1"],
            ("container", "vllm-a-1", "changed: env", "as in the inventory", "install"),
        ),
        (
            ["remove vllm-a-1 (not in the inventory)"],
            ("container", "vllm-a-1", "not in the inventory", "no container", "install"),
        ),
        (["start vllm-a-1 (was exited)"], ("container", "vllm-a-1", "was exited", "as in the inventory", "install")),
        (
            ["replace vllm-a-1 (changed: image; no free device: clients are without a for the whole start)"],
            ("container", "vllm-a-1", "changed: image", "as in the inventory", "install"),
        ),
        (
            ["rename vllm-a-1-next (vllm-a-1)"],
            (
                *("container", "vllm-a-1-next", "of an interrupted replacement, becomes vllm-a-1"),
                *("as in the inventory", "install"),
            ),
        ),
        (
            ["remove vllm-a-1-previous (of an interrupted replacement)"],
            ("container", "vllm-a-1-previous", "of an interrupted replacement", "no container", "install"),
        ),
        (["stop vllm-a-1 (state: stopped)"], ("container", "vllm-a-1", "runs", "as in the inventory", "install")),
        (
            ["connect vllm-a-1 (fleet-model-a)"],
            ("container", "vllm-a-1", "not in the network fleet-model-a", "as in the inventory", "install"),
        ),
        (
            ["start vllm-a-1"],
            ("container", "vllm-a-1", "install would start the container", "as in the inventory", "install"),
        ),
    ],
)
def test_what_install_would_do_to_models_and_gpus_differs(actions: list[str], expected: tuple[str, ...]) -> None:
    assert found(status={"install_would": actions}) == [expected]


def test_the_rules_of_the_host_are_among_its_checks_alone() -> None:
    assert found(status={"install_would": ["write the rules of iptables"]}) == []


def test_gpus_in_trouble_are_reported_once() -> None:
    trouble = {"gpu_trouble": ["GPU 0: fell off the bus"]}
    assert found(status=trouble) == [("gpu", "GPU 0", "fell off the bus", "", "install")]
    assert found(status=trouble, host={"gpu_faults": ["GPU 0: fell off the bus"]}) == []


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (service(after={"exists": True}), [("container", "caddy", "missing", "runs", "install")]),
        (
            service(before={"running": False}, after={"running": True}),
            [("container", "caddy", "does not run", "runs", "install")],
        ),
        (
            service(before={"image": OTHER, "running": True}, after={"image": ONE, "running": True}),
            [("image", "caddy", "has bbbbbbbbbbbb", "aaaaaaaaaaaa", "install")],
        ),
        (
            service(before={"env": ["KEY=secret"], "network.a": 1}, after={"env": ["KEY=new"], "network.a": 2}),
            [("container", "caddy", "differs in env, network", "as in the inventory", "install")],
        ),
        (
            service(actions=[{"pulled_image": "caddy:2", "changed": True}], before={"env": 1}, after={"env": 2}),
            [
                ("container", "caddy", "differs in env", "as in the inventory", "install"),
                ("image", "caddy:2", "not on this host", "", "install"),
            ],
        ),
        (service(), [("container", "caddy", "differs", "as in the inventory", "install")]),
        (service(changed=False, after={"env": 1}), []),
        (service(failed=True, after={"env": 1}), []),
    ],
)
def test_a_service_container_differs_without_its_secrets(result: dict[str, Any], expected: Any) -> None:
    differences = found(__caddy=result)
    assert differences == expected
    assert "secret" not in str(differences)


def test_containers_of_a_monitoring_that_is_off_should_not_exist() -> None:
    removed = {"results": [{"changed": True, "item": "grafana"}, {"changed": False, "item": "prometheus"}]}
    assert found(__monitoring_removed=removed, __monitoring_dcgm_removed={"changed": True}) == [
        ("container", "dcgm-exporter", "exists", "no container", "install"),
        ("container", "grafana", "exists", "no container", "install"),
    ]


def test_a_second_litellm_of_an_interrupted_change_should_not_exist() -> None:
    assert found(__litellm_settled={"changed": True, "actions": ["discard"]}) == [
        ("container", "litellm-next", "of an interrupted change of LiteLLM", "no container", "install")
    ]
    assert found(__litellm_settled={"changed": False, "actions": []}) == []


def test_a_drained_host_is_no_difference_and_is_reported() -> None:
    entry = host_entry(results(host={"drained_since": "2026-11-24T12:00:00Z"}))
    assert entry["differences"] == []
    assert document({"gpu1": entry}, [], NOW)["hosts"]["gpu1"]["drained_since"] == "2026-11-24T12:00:00Z"
    assert drift_text({"gpu1": entry}, []).splitlines() == [
        "gpu1",
        "  drained since 2026-11-24T12:00:00Z: Caddy refuses requests for models; the playbook undrain ends this",
        "  no difference",
    ]


def test_networks_that_are_missing_or_too_many_differ() -> None:
    networks = {"create": [{"name": "fleet-a"}, {"name": "fleet-b"}], "recreate": {"fleet-b": "why"}, "remove": ["old"]}
    assert found(host={"networks": networks}) == [
        ("network", "fleet-a", "missing", "as in the inventory", "install"),
        ("network", "old", "exists", "no network", "install"),
    ]


def file_result(before: str, after: str, **more: Any) -> dict[str, Any]:
    return {"paths": ["/f"], "diff": [{"before_header": "/f", "before": before, "after": after}], **more}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            file_result("by hand\n", "right\n"),
            ("file", "/f", "content SHA-256 ccc6730b7fa7", "SHA-256 55c97802b397", "install"),
        ),
        (file_result("", "right\n"), ("file", "/f", "missing, empty or not text", "as in the inventory", "install")),
        (
            file_result("right\n", "right\n"),
            ("file", "/f", "another owner, group or mode", "as in the inventory", "install"),
        ),
        ({"paths": ["/f"], "diff": []}, ("file", "/f", "missing, or another owner or mode", "", "install")),
        ({"paths": [], "others": ["/f"]}, ("file", "/f", "exists", "no file", "install")),
    ],
)
def test_a_file_differs_in_content_owner_or_mode(result: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert found(__caddy_config=result) == [expected]


def test_of_files_with_secrets_neither_content_nor_hash_is_shown() -> None:
    (config,) = found(__fleet_files=file_result("a", "b"))
    assert config[2:4] == ("another content", "as in the inventory")
    paths = ["/etc/inference-fleet/secrets/master_key"]
    (secret,) = found(__fleet_secrets={"files": paths, "values": {"master_key": "sk-secret"}})
    assert secret[:3] == ("file", *paths, "differs")
    assert "sk-secret" not in str(secret)


def test_files_in_loops_the_restore_and_units_differ() -> None:
    assert found(
        __caddy_tls={"results": [{"changed": True, "dest": "/tls/key"}, {"changed": False, "dest": "/tls/other"}]},
        __energy_removed={"results": [{"changed": True, "item": "/etc/unit"}]},
        __restore_kit={"changed": True},
        __restore_environment={"changed": True},
        __restore_service={"changed": True},
        __energy_service={"changed": True, "failed": True},
    ) == [
        ("file", "/etc/unit", "differs", "", "install"),
        ("file", "/tls/key", "differs", "", "install"),
        (
            *("file", "Python environment for the restore at boot", "differs", "the pinned packages"),
            "install",
        ),
        (
            *("file", "collections for the restore at boot", "differs from this machine's copy"),
            *("the collections of this machine", "install"),
        ),
        ("service", "inference-fleet-restore", "not started, or not enabled at boot", "", "install"),
    ]


def test_keys_differ_and_those_of_no_inventory_are_named() -> None:
    keys = {
        "actions": ["create batch (missing)", "update chat (changed: max_budget, models)"],
        "others": ["221df437...", "by-hand", "fleet-metrics", "fleet-open-a"],
    }
    unknown = ("in LiteLLM, in no inventory", "no key", "add the key to fleet_keys, or with state: absent")
    assert found(__keys=keys, __monitoring_key={"actions": ["create fleet-metrics (missing)"]}) == [
        ("key", "221df437...", *unknown),
        ("key", "batch", "missing", "as in the inventory", "keys"),
        ("key", "by-hand", *unknown),
        ("key", "chat", "changed: max_budget, models", "as in the inventory", "keys"),
        ("key", "fleet-metrics", "missing", "as in the inventory", "install"),
    ]


def test_a_key_of_an_open_route_that_should_not_exist_is_named_once() -> None:
    keys = {"actions": ["delete fleet-open-gone (not wanted)"]}
    others = {"actions": [], "others": ["fleet-open-gone"]}
    assert found(__litellm_keys=keys, __keys=others) == [
        ("key", "fleet-open-gone", "not wanted", "as in the inventory", "install")
    ]


def test_a_step_that_failed_is_a_difference_and_hides_no_other() -> None:
    assert found(
        status={"fault": "Docker: permission denied"},
        __drift_faults={"Caddy": "first line\nsecond"},
        __monitoring_faults="no container litellm",
        __postgres=service(after={"exists": True}),
    ) == [
        ("host", "Caddy", "could not be compared: first line", "", "fix the cause, then run drift again"),
        (
            "host",
            "models",
            "could not be compared: Docker: permission denied",
            "",
            "fix the cause, then run drift again",
        ),
        (
            "host",
            "monitoring",
            "could not be compared: no container litellm",
            "",
            "fix the cause, then run drift again",
        ),
        ("container", "postgres", "missing", "runs", "install"),
    ]


def test_a_newer_kernel_and_another_driver_wait_for_a_reboot() -> None:
    kernels = ["6.1.0-18-amd64", "6.1.0-22-amd64", "6.1.0-30-cloud-amd64"]
    driver = {"loaded": "550.90.07", "library": "570.1.1", "module": "570.1.1"}
    assert found({"kernels": kernels, "driver": driver}) == [
        ("version", "NVIDIA driver", "550.90.07 is loaded", "570.1.1, installed", "reboot the host"),
        ("version", "kernel", "6.1.0-18-amd64 runs", "6.1.0-22-amd64, installed", "reboot the host"),
    ]


@pytest.mark.parametrize(
    "driver",
    [
        DRIVER,
        {"loaded": "550.90.07", "library": "550.90.07", "module": None},
        {"loaded": None, "library": "550.90.07", "module": None},  # host_check reports a driver that is not loaded
    ],
)
def test_a_driver_that_is_not_loaded_or_the_installed_one_does_not_differ(driver: dict[str, Any]) -> None:
    assert found({"driver": driver}) == []


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-10-amd64"], "6.1.0-10-amd64"),
        ("6.8.0-31-generic", ["6.8.0-40-nvidia"], "6.8.0-31-generic"),
        (
            "5.14.0-427.13.1.el9_4.x86_64",
            ["5.14.0-427.13.1.el9_4.x86_64", "5.14.0-503.11.1.el9_5.x86_64"],
            "5.14.0-503.11.1.el9_5.x86_64",
        ),
        ("6.12.41+deb13-amd64", ["6.12.9+deb13-amd64", "6.12.41+deb13-amd64"], "6.12.41+deb13-amd64"),
        ("6.1.0-18-amd64", [], "6.1.0-18-amd64"),  # a container has no kernel
        ("6.1.0-18-amd64", ["6.1.0-9-amd64"], "6.1.0-18-amd64"),
    ],
)
def test_finds_the_newest_kernel_of_the_same_flavour(running: str, installed: list[str], newest: str) -> None:
    assert newest_kernel(running, installed) == newest


@pytest.mark.parametrize(
    ("ahead", "error", "text"),
    [
        (3.0, 0.1, "3.0 s ahead of this machine's"),
        (-3600.0, 0.1, "3600.0 s behind this machine's"),
        (3.0, 1.5, None),
        (-1.9, 0.0, None),
    ],
)
def test_a_clock_differs_by_more_than_the_error_of_the_measure(ahead: float, error: float, text: str | None) -> None:
    kinds = [one[2] for one in found({"clock": {**CLOCK, "ahead": ahead, "error": error}})]
    assert kinds == ([text] if text else [])


def test_ignored_kinds_are_left_out() -> None:
    given = results({"clock": {**CLOCK, "ahead": 9}}, __caddy=service(after={"exists": True}))
    assert [one["kind"] for one in host_entry(given, ["clock"])["differences"]] == ["container"]


def test_a_host_that_cannot_be_reached_is_printed_whatever_is_ignored() -> None:
    entry = host_entry({"__drift_host": {"fault": "no route"}}, ["host"])
    assert drift_text({"gpu1": entry}, []) == "gpu1: no route"


# Hosts against each other


def hosts(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """gpu1 to gpu3, equal but for the changes of their versions."""
    return {name: host_entry(results(changes.get(name))) for name in ("gpu3", "gpu1", "gpu2")}


def test_equal_hosts_do_not_differ() -> None:
    assert between_hosts(hosts()) == []


@pytest.mark.parametrize(
    ("changes", "name", "values"),
    [
        ({"docker": "20.10.24"}, "Docker of debian 12", {"28.2.2": ["gpu1", "gpu3"], "20.10.24": ["gpu2"]}),
        (
            {"kernel": "6.1.0-1-amd64"},
            "kernel of debian 12",
            {"6.1.0-18-amd64": ["gpu1", "gpu3"], "6.1.0-1-amd64": ["gpu2"]},
        ),
        ({"collection": "0.1.0"}, "collection", {"0.2.0": ["gpu1", "gpu3"], "0.1.0": ["gpu2"]}),
        ({"clock": {**CLOCK, "ahead": 5.0}}, "clock", {"+0.0 s": ["gpu1", "gpu3"], "+5.0 s": ["gpu2"]}),
        (
            {"clock": {**CLOCK, "synchronized": False}},
            *("synchronization of the clock", {"by a time server": ["gpu1", "gpu3"], "none": ["gpu2"]}),
        ),
    ],
)
def test_hosts_differ_in(changes: dict[str, Any], name: str, values: dict[str, list[str]]) -> None:
    (difference,) = between_hosts(hosts(gpu2=changes))
    assert (difference["name"], difference["values"]) == (name, values)
    assert difference["remedy"]


def test_kernels_and_docker_of_other_distributions_may_differ() -> None:
    other = {"system": "ubuntu 24.04", "kernel": "6.8.0-31-generic", "docker": "27.5"}
    assert between_hosts(hosts(gpu2=other)) == []


def test_drivers_are_compared_among_hosts_that_have_one() -> None:
    def with_driver(version: str) -> dict[str, Any]:
        return {"driver": {"loaded": version, "library": version, "module": None}}

    assert between_hosts(hosts(gpu1=with_driver("550.1"))) == []
    (difference,) = between_hosts(hosts(gpu1=with_driver("550.1"), gpu2=with_driver("570.1")))
    assert difference["values"] == {"550.1": ["gpu1"], "570.1": ["gpu2"]}


def test_clocks_within_the_error_of_the_measure_do_not_differ() -> None:
    slow = {"clock": {**CLOCK, "ahead": 2.5, "error": 0.6}}
    assert between_hosts(hosts(gpu2=slow)) == []


def test_a_host_whose_kernel_does_not_tell_of_a_time_server_does_not_differ() -> None:
    assert between_hosts(hosts(gpu2={"clock": {**CLOCK, "synchronized": None}})) == []


def test_clocks_of_hosts_that_are_each_near_this_machine_may_differ_from_each_other() -> None:
    ahead, behind = ({"clock": {**CLOCK, "ahead": seconds}} for seconds in (1.5, -1.5))
    found = hosts(gpu1=ahead, gpu2=behind)
    assert not any(one["differences"] for one in found.values())
    (difference,) = between_hosts(found)
    assert difference["values"] == {"+1.5 s": ["gpu1"], "-1.5 s": ["gpu2"], "+0.0 s": ["gpu3"]}


def test_one_reference_that_is_two_images_differs() -> None:
    def with_image(digest: str) -> dict[str, Any]:
        row = {"name": "caddy", "image": "caddy:2", "image_id": "sha256:1", "digest": digest}
        return host_entry(results(status={"services": [row]}))

    (difference,) = between_hosts({"gpu1": with_image(ONE), "gpu2": with_image(OTHER)})
    assert (difference["name"], difference["values"]) == ("image caddy:2", {ONE: ["gpu1"], OTHER: ["gpu2"]})


def test_a_host_that_cannot_be_reached_hides_no_difference_of_the_others() -> None:
    away = host_entry({"__drift_host": {"fault": "no route to host"}})
    found = {**hosts(gpu2={"docker": "20.10.24"}), "away": away}
    assert [one["name"] for one in between_hosts(found)] == ["Docker of debian 12"]


# Output


def test_hosts_are_sorted_and_each_line_says_what_to_do() -> None:
    entries = {**hosts(), "gpu2": host_entry(results(__caddy=service(after={"exists": True})))}
    between = between_hosts({**entries, "gpu9": host_entry(results({"docker": "20.10.24"}))})
    assert drift_text(entries, between).splitlines() == [
        "gpu1: no difference",
        "",
        "gpu2",
        "  KIND       WHAT   TO DO    FOUND    EXPECTED",
        "  container  caddy  install  missing  runs",
        "",
        "gpu3: no difference",
        "",
        "hosts that differ from each other",
        "  WHAT                 FOUND                                         TO DO",
        "  Docker of debian 12  28.2.2 on gpu1, gpu2, gpu3; 20.10.24 on gpu9  update the hosts that are behind",
    ]


def test_long_texts_are_cut_for_a_person_alone() -> None:
    entry = host_entry(results(__drift_faults={"Caddy": "x" * 500}))
    assert max(map(len, drift_text({"gpu1": entry}, []).splitlines())) < 230
    assert len(entry["differences"][0]["found"]) > 500


def test_the_document_has_all_hosts_and_no_more_than_is_described() -> None:
    found = hosts(gpu2={"docker": "20.10.24"})
    told = json.loads(json.dumps(document(found, between_hosts(found), NOW)))
    assert told.keys() == {"schema", "time", "hosts", "between_hosts"}
    assert list(told["hosts"]) == ["gpu1", "gpu2", "gpu3"]
    assert told["hosts"]["gpu1"].keys() == {"fault", "drained_since", "versions", "clock", "differences"}
    assert told["between_hosts"][0].keys() == {"name", "values", "remedy"}


def test_a_difference_between_hosts_counts_for_each_of_them() -> None:
    found = hosts(gpu2={"docker": "20.10.24"})
    assert failing(found, between_hosts(found)) == dict.fromkeys(["gpu1", "gpu2", "gpu3"], "1 difference, see above")


def test_the_metrics_have_every_kind() -> None:
    entry = host_entry(results(__caddy=service(after={"exists": True})))
    lines = metrics_text(counts("gpu1", entry, []), NOW).splitlines()
    values = {line.split()[0]: line.split()[1] for line in lines if not line.startswith("#")}
    assert values == {
        **{f'inference_fleet_drift_differences{{kind="{kind}"}}': "0" for kind in KINDS},
        'inference_fleet_drift_differences{kind="container"}': "1",
        "inference_fleet_drift_timestamp_seconds": "1795521600",
    }

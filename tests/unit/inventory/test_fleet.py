"""All fleet_* variables of one host."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.access import (
    CaddySettings,
    LiteLLMSettings,
    Secrets,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import (
    Cache,
    Fleet,
    scope,
    select,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import Https
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import SHIPPED
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.inventories import inventories
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, entry, faults, fleet
from hypothesis import given
from hypothesis import strategies as st

BASE = (
    "expected a key of fleet_images such as vllm or vllm_omni, or an image reference with a tag or digest, "
    "such as vllm/vllm-openai:v0.31.0"
)
SECRET = "sk-0123456789abcdef"
OTHER_SECRET = "hf_fedcba9876543210"
APP_SECRET = "sk-app-0123456789"


def fleet_faults(*entries: Any, **variables: Any) -> list[str]:
    return faults(lambda: fleet(*entries, **variables))


# Defaults


def test_an_empty_inventory_is_a_fleet_without_models() -> None:
    assert Fleet.parse({}) == Fleet(
        schema=2,
        models=(),
        images=Images(),
        recipes={},
        https=Https(mode="internal", names=()),
        cache=Cache(path=None, min_free_gb=20),
        litellm=LiteLLMSettings(workers=1, restart_wait=120, memory_gb=4),
        direct_keys=(),
        secrets=Secrets(None, None, None),
        hf_token=None,
        mig=Layout(),
        monitoring=None,
        caddy=CaddySettings(max_body_mb=512, max_api_body_mb=32, check_key_above_kb=32, memory_gb=2),
        litellm_admin=False,
    )


def test_variables_of_others_are_not_looked_at() -> None:
    assert Fleet.parse({"ansible_host": 7, "fleet": "x", "caddy_fleet_": 1}) == Fleet.parse({})


@pytest.mark.parametrize("switch", [{"break_lock": True}, {"rotate": ["master_key"]}, {"overlap": "0"}])
def test_a_switch_of_a_single_run_is_no_part_of_the_inventory(switch: dict[str, Any]) -> None:
    assert fleet(**switch) == fleet()


# Invalid values


@pytest.mark.parametrize(
    ("variables", "messages"),
    [
        ({"modles": []}, ["fleet_modles: unknown key; did you mean 'fleet_models'?"]),
        ({"models": {"qwen": {"env": {"HF_TOKEN": SECRET}}}}, ["fleet_models: expected a list, got a mapping"]),
        ({"models": "qwen"}, ["fleet_models: expected a list, got 'qwen'"]),
        ({"images": ["vllm"]}, ["fleet_images: expected a mapping, got a list"]),
        ({"images": {"vlm": "a:1"}}, ["fleet_images.vlm: unknown key; did you mean 'vllm'?"]),
        ({"recipes": {"whisper": None}}, ["fleet_recipes.whisper: expected a mapping, got None"]),
        (
            {"recipes": {"whisper": {"base": "vlm", "atp": []}}},
            [
                f"fleet_recipes.whisper.base: {BASE}, got 'vlm'",
                "fleet_recipes.whisper.atp: unknown key; did you mean 'apt'?",
            ],
        ),
        ({"https": {"mode": "none"}}, ["fleet_https.mode: expected one of internal, acme, files, got 'none'"]),
        ({"https": {"name": []}}, ["fleet_https.name: unknown key; did you mean 'names'?"]),
        ({"https": {"names": ["a b"]}}, ["fleet_https.names[0]: expected a host name or an address, got 'a b'"]),
        ({"https": {"names": [7]}}, ["fleet_https.names[0]: expected a host name or an address, got 7"]),
        ({"cache": {"path": "cache"}}, ["fleet_cache.path: expected an absolute path without a colon, got 'cache'"]),
        (
            {"cache": {"min_free_gb": -5}},
            ["fleet_cache.min_free_gb: expected a whole number of at least 0, got -5"],
        ),
        (
            {"cache": {"downloads": "nevr", "endpoint": "https://ann:pw@hub.example", "image": "vllm"}},
            [
                "fleet_cache.downloads: expected one of before_start, at_start, never, got 'nevr'; "
                "did you mean 'never'?",
                "fleet_cache.endpoint: expected the URL of a hub without a name or password in it; "
                "what was found is not shown",
                "fleet_cache.image: expected an image reference with a tag or digest, such as "
                "vllm/vllm-openai:v0.31.0, got 'vllm'",
            ],
        ),
        ({"cache": {"pth": "/x"}}, ["fleet_cache.pth: unknown key; did you mean 'path'?"]),
        ({"litellm": {"workers": 0}}, ["fleet_litellm.workers: expected a whole number of at least 1, got 0"]),
        (
            {"litellm": {"restart_wait": -1}},
            ["fleet_litellm.restart_wait: expected a whole number of at least 0, got -1"],
        ),
        ({"litellm": {"worker": 1}}, ["fleet_litellm.worker: unknown key; did you mean 'workers'?"]),
        ({"caddy": {"max_body_mb": 0}}, ["fleet_caddy.max_body_mb: expected a whole number of at least 1, got 0"]),
        (
            {"caddy": {"check_key_above_kb": 0}},
            ["fleet_caddy.check_key_above_kb: expected a whole number of at least 1, got 0"],
        ),
        ({"litellm": {"memory_gb": 0}}, ["fleet_litellm.memory_gb: expected a whole number of at least 1, got 0"]),
        ({"caddy": {"max_body": 1}}, ["fleet_caddy.max_body: unknown key; did you mean 'max_body_mb'?"]),
        (
            {"litellm_admin": "yes"},
            ["fleet_litellm_admin: expected true or false, got 'yes', which is text: leave the quotes out"],
        ),
        (
            {"monitoring": "on"},
            ["fleet_monitoring: expected true, false or a mapping such as {retention: 30d, size: 20GB}, got 'on'"],
        ),
        (
            {"monitoring": {"retention": "30 days", "size": "20", "sizes": 1}},
            [
                "fleet_monitoring.retention: expected a time such as 30d or 1y, got '30 days'",
                "fleet_monitoring.size: expected a size such as 20GB, got '20'",
                "fleet_monitoring.sizes: unknown key; did you mean 'size'?",
            ],
        ),
        (
            {"monitoring": {"alertmanagers": ["http://user:password@alerts.example.com"]}},
            [
                "fleet_monitoring.alertmanagers[0]: expected the URL of an Alertmanager, such as "
                "http://alerts.example.com:9093, got text that is not shown"
            ],
        ),
        (
            {"mig": "all"},
            ["fleet_mig: expected auto, or for each GPU a list of profiles or off, got 'all'"],
        ),
        ({"mig": {0: "on"}}, ["fleet_mig.0: expected a list of profiles or off, got 'on'"]),
        ({"mig": {0: ["1g.10gb", 7]}}, ["fleet_mig.0[1]: expected a profile such as 3g.40gb or 1c.3g.40gb, got 7"]),
        ({"absent_models": "qwen3-8b"}, ["fleet_absent_models: expected a list, got 'qwen3-8b'"]),
        ({"absent_models": 5}, ["fleet_absent_models: expected a list, got 5"]),
    ],
)
def test_refuses_and_says_what_would_be_right(variables: dict[str, Any], messages: list[str]) -> None:
    assert fleet_faults(**{"models": [], **variables}) == messages


def test_every_fault_of_an_inventory_is_in_one_message() -> None:
    """Faults in entries, between entries and of variables, in the order of reading."""
    assert fleet_faults(
        entry(name="a", devices={"gpus": [0]}),
        entry(name="b", replicas=0),
        entry(name="a", devices={"gpus": [0, 1]}, recipe="whipser"),
        "c",
        recipes={"whisper": {"base": "vllm", "pip": [1]}},
        secrets={"master_key": "short"},
        monitring=True,
    ) == [
        "fleet_models[1].replicas: expected a whole number of at least 1, got 0",
        "fleet_models[3]: expected a mapping, got 'c'",
        "fleet_recipes.whisper.pip[0]: expected a requirement as pip takes it, such as vllm[audio] or timm>=1.0.17, "
        "got 1",
        "fleet_secrets.master_key: expected at least 8 printable ASCII characters without blanks; "
        "what was found is not shown",
        "fleet_models[2].name: 'a' is also the name of fleet_models[0]",
        "fleet_models[2].recipe: 'whipser' is neither in fleet_recipes nor one of the collection's own "
        "(whisper, voxtral, gemma3n); did you mean 'whisper'?",
        "fleet_models[2].devices.gpus: GPU 0 is already taken by a (fleet_models[0])",
        "fleet_monitring: unknown key; did you mean 'fleet_monitoring'?",
    ]


def test_a_fault_of_an_entry_hides_no_fault_between_entries() -> None:
    assert fleet_faults(
        entry(name="a", devices={"gpus": [0]}, shm_size="8GB", recipe="nope"),
        entry(name="a", soruce="x", replicas=0, adapters={"sql": "own/x"}),
        entry(name="B", devices={"gpus": [0, 1]}),
        entry(name="sql", devices={"gpus": [1]}, state="gone"),
        keys=[{"alias": "x", "models": ["typo"]}],
    ) == [
        "fleet_models[0].shm_size: expected a size such as 8g or 512m, got '8GB'",
        "fleet_models[1].replicas: expected a whole number of at least 1, got 0",
        "fleet_models[1].soruce: unknown key; did you mean 'source'?",
        "fleet_models[2].name: expected a DNS label (a-z, 0-9 and - inside), got 'B'",
        "fleet_models[3].state: expected one of running, stopped, absent, got 'gone'",
        "fleet_models[0].recipe: 'nope' is neither in fleet_recipes nor one of the collection's own "
        "(whisper, voxtral, gemma3n)",
        "fleet_models[1].name: 'a' is also the name of fleet_models[0]",
        "fleet_models[1].adapters: 'sql' is also the name of a model or of another adapter",
        "fleet_models[2].devices.gpus: GPU 0 is already taken by a (fleet_models[0])",
    ]


def test_a_key_is_compared_with_models_that_have_another_fault() -> None:
    keys = [{"alias": "x", "models": ["qwen3-8b", "typo"]}]
    typo = "fleet_keys[0].models: the fleet has no model 'typo'"
    assert fleet_faults(entry(shm_size="8"), keys=keys)[1:] == [typo]
    assert fleet_faults(entry(args={"port": 1}), keys=keys)[1:] == [], "an adapter in args may have that name"
    assert fleet_faults(entry(name="T"), keys=keys)[1:] == []
    assert fleet_faults("no entry", keys=keys)[1:] == []


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_the_hub_has_a_port_that_exists(port: int) -> None:
    (fault,) = fleet_faults(cache={"endpoint": f"https://hub.example:{port}/hf"})
    assert fault.startswith("fleet_cache.endpoint: expected the URL of a hub")
    assert fleet(cache={"endpoint": "https://hub.example:65535/hf"}).cache.endpoint


# Between entries


def test_a_name_can_be_given_once() -> None:
    assert fleet_faults(entry(), entry(name="other"), entry(), entry()) == [
        "fleet_models[2].name: 'qwen3-8b' is also the name of fleet_models[0]",
        "fleet_models[3].name: 'qwen3-8b' is also the name of fleet_models[0]",
    ]


def test_a_name_can_be_given_once_even_if_one_of_the_two_is_absent() -> None:
    assert len(fleet_faults(entry(), entry(state="absent"))) == 1


def test_two_models_cannot_have_the_same_gpu() -> None:
    assert fleet_faults(
        entry(name="a", devices={"gpus": [0, 1]}), entry(name="b"), entry(name="c", devices={"gpus": [1, 2]})
    ) == ["fleet_models[2].devices.gpus: GPU 1 is already taken by a (fleet_models[0])"]


def test_a_stopped_model_keeps_its_gpu() -> None:
    assert (
        len(
            fleet_faults(
                entry(name="a", devices={"gpus": [0]}, state="stopped"), entry(name="b", devices={"gpus": [0]})
            )
        )
        == 1
    )


def test_an_absent_model_has_no_gpu() -> None:
    taken = fleet(entry(name="a", devices={"gpus": [0]}, state="absent"), entry(name="b", devices={"gpus": [0]}))
    assert len(taken.models) == 2


def test_a_recipe_must_be_there() -> None:
    assert fleet_faults(entry(recipe="mine")) == [
        "fleet_models[0].recipe: 'mine' is neither in fleet_recipes nor one of the collection's own "
        "(whisper, voxtral, gemma3n)"
    ]
    assert fleet(entry(recipe="mine"), recipes={"mine": {"base": "vllm"}}).models[0].recipe == "mine"


def test_a_recipe_of_the_collection_need_not_be_listed_and_the_inventorys_own_takes_its_place() -> None:
    assert fleet().recipe("whisper") == SHIPPED["whisper"]
    assert fleet(recipes={"whisper": {"pip": ["own"]}}).recipe("whisper").pip == ("own",)


def test_a_recipe_with_a_fault_is_not_called_missing_too() -> None:
    assert fleet_faults(entry(recipe="whisper"), recipes={"whisper": {"base": 1}}) == [
        f"fleet_recipes.whisper.base: {BASE}, got 1"
    ]


# Models that this run removes


def test_a_model_taken_away_is_absent_whatever_its_state() -> None:
    taken = fleet(entry(name="a"), entry(name="b", state="stopped"), entry(name="c"), absent_models=["a", "b"])
    assert [model.state for model in taken.models] == ["absent", "absent", "running"]


def test_taking_a_model_away_leaves_one_alone_whose_name_is_part_of_its() -> None:
    taken = fleet(entry(name="qwen3"), entry(name="qwen3-8b"), absent_models=["qwen3-8b"])
    assert [model.state for model in taken.models] == ["running", "absent"]


def test_a_model_that_is_gone_from_the_inventory_can_still_be_taken_away() -> None:
    assert fleet(entry(name="a"), absent_models=["gone"]).models[0].state == "running"


# Secrets


def secretive() -> Fleet:
    return fleet(
        entry(env={"HF_TOKEN": OTHER_SECRET}),
        secrets={"master_key": SECRET, "salt_key": SECRET, "postgres_password": SECRET},
        direct_keys=[{"name": "app", "key": APP_SECRET}],
        hf_token=OTHER_SECRET,
    )


def test_what_templates_and_eyes_get_has_no_secret() -> None:
    shown = json.dumps(secretive().public())
    assert [secret for secret in (SECRET, OTHER_SECRET, APP_SECRET) if secret in shown] == []


# The cache, which containers can write


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/", "/etc/inference-fleet"),
        ("/etc/inference-fleet", "/etc/inference-fleet"),
        ("/opt/", "/opt/inference-fleet"),
        ("/run", "/run/inference-fleet"),
        ("/var/lib", "/var/lib/inference-fleet"),
        ("/var/lib/inference-fleet", "/var/lib/inference-fleet"),
        ("/var/lib/inference-fleet/options", "/var/lib/inference-fleet/options"),
    ],
)
def test_the_cache_contains_no_folder_that_root_trusts(path: str, own: str) -> None:
    (fault,) = faults(lambda: fleet(cache={"path": path}))
    shown = path.rstrip("/") or "/"
    assert fault == f"fleet_cache.path: expected a folder of its own, got {shown}, which contains {own}"


@pytest.mark.parametrize("path", ["/var/lib/inference-fleet/weights", "/var/lib/inference-fleet2", "/srv/hf"])
def test_the_cache_may_be_a_folder_of_its_own(path: str) -> None:
    assert fleet(cache={"path": path}).cache.path == path


@pytest.mark.parametrize(("cache", "env"), [({"downloads": "at_start"}, {}), ({}, {"HF_HUB_OFFLINE": 0})])
def test_no_model_can_replace_the_weights_of_the_host_by_a_link(cache: dict[str, str], env: dict[str, int]) -> None:
    own = entry(name="own", source="/srv/hf/own", adapters={"tone": "/srv/tone"})
    (fault,) = faults(lambda: fleet(own, entry(name="b", env=env), cache={"path": "/srv/hf", **cache}))
    assert fault == (
        "fleet_models[0].source: expected a path outside of fleet_cache.path, got /srv/hf/own; b downloads by "
        "itself, and could replace this path by a link to another folder"
    )
    assert fleet(own, entry(name="b"), cache={"path": "/srv/hf"}), "no model writes the cache"
    assert fleet({**own, "source": "/srv/hf2"}, entry(name="b", env=env), cache={"path": "/srv/hf", **cache})


# The host's own copy


EVERYTHING: dict[str, Any] = {
    "fleet_models": [
        entry(devices={"gpus": 2}, args={"enable-x": None, "no": False, "list": [1, "a"], "deep": {"a": {"b": None}}}),
        entry(
            name="pinned",
            devices={"gpus": [3, 1]},
            shm_size="1536m",
            memory="80g",
            env={"HF_TOKEN": OTHER_SECRET, "N": 1},
        ),
        entry(name="slice", devices={"mig": "1c.3g.20gb"}, state="stopped", replicas=3, open=True, direct=True),
        entry(name="plain", devices={"cpu": True}, image="example/own:1", memory="80g", recipe="whisper"),
    ],
    "fleet_recipes": {"whisper": {"base": "vllm", "pip": ["vllm[audio]"]}},
    "fleet_mig": {"0": ["3g.20gb", "1c.3g.20gb"], 1: False},
    "fleet_https": {"mode": "acme", "names": ["llm.example.com"], "email": "a@example.com"},
    "fleet_secrets": {"master_key": SECRET, "salt_key": SECRET + "2"},
    "fleet_direct_keys": [{"name": "app", "key": APP_SECRET}, {"name": "made"}],
    "fleet_hf_token": OTHER_SECRET,
    "fleet_images": {"vllm": "example/vllm:2"},
    "fleet_cache": {"path": "/srv/hf"},
    "fleet_toolkit_repository": {},
    "fleet_config_folder": "/srv/fleet",
    "fleet_monitoring": True,
    "fleet_litellm": {"workers": 3},
}


def read_back(parsed: Fleet) -> Fleet:
    return Fleet.parse(json.loads(json.dumps(parsed.desired_state())))


def test_what_the_host_keeps_for_itself_makes_the_same_fleet() -> None:
    for variables in ({}, EVERYTHING, {"fleet_mig": "auto"}):
        parsed = Fleet.parse(variables)
        kept = read_back(parsed)
        assert replace(kept, mig=parsed.mig) == parsed
        assert kept.mig.plain() == parsed.mig.plain()


@given(inventories)
def test_of_any_inventory_what_the_host_keeps_makes_the_same_fleet(variables: dict[str, Any]) -> None:
    parsed = Fleet.parse(variables)
    assert read_back(parsed) == parsed
    assert read_back(parsed).desired_state() == parsed.desired_state()


def test_a_model_that_was_taken_away_stays_so_in_the_hosts_own_copy() -> None:
    assert read_back(fleet(entry(), absent_models=["qwen3-8b"])).models[0].state == "absent"


def test_virtual_keys_are_the_databases_and_not_in_the_hosts_own_copy() -> None:
    assert "fleet_keys" not in fleet(keys=[{"alias": "app", "key": APP_SECRET + SECRET}]).desired_state()


@given(st.integers(1, 999_999), st.sampled_from("kmg"))
def test_a_size_is_read_back_as_it_was(count: int, unit: str) -> None:
    parsed = fleet(entry(shm_size=f"{count}{unit}"))
    assert read_back(parsed).models == parsed.models


# Plain data for templates


def test_templates_get_what_they_need_of_each_model() -> None:
    public = fleet(entry(replicas=2), entry(name="voice", type="tts"), cache={"path": "/srv/hf/"}).public()
    chat, voice = public["models"]
    assert (chat["containers"], chat["in_gateway"]) == (["vllm-qwen3-8b-1", "vllm-qwen3-8b-2"], True)
    assert (chat["image"], voice["image"]) == (Images().vllm, Images().vllm_omni)
    assert [(one["in_gateway"], one["has_direct_route"]) for one in (chat, voice)] == [(True, False), (True, True)]
    assert public["cache"]["source"] == "/srv/hf"


def test_without_a_folder_the_cache_is_a_volume() -> None:
    assert fleet().public()["cache"]["source"] == "fleet-hf-cache"


# MIG layouts


@pytest.mark.parametrize(
    ("given_layout", "layout"),
    [
        ("auto", "auto"),
        ({0: ["3g.40gb", "3g.40gb"], 1: "off"}, {"0": ["3g.40gb", "3g.40gb"], "1": "off"}),
        ({0: False}, {"0": "off"}),
        ({"GPU-b1028956": []}, {"GPU-b1028956": []}),
        ({"all": ["3c.3g.40gb", "1c.2g.20gb"]}, {"all": ["3g.40gb", "1c.2g.20gb"]}),
    ],
)
def test_reads_mig_layouts(given_layout: Any, layout: Any) -> None:
    assert fleet(mig=given_layout).mig.plain() == layout


@pytest.mark.parametrize("name", ["gpu1.example.com", "192.168.1.7", "fd00::17", "localhost", "a"])
def test_certificates_are_for_names_and_addresses(name: str) -> None:
    assert fleet(https={"names": [name]}).https.names == (name,)


# One model of many


def test_selects_a_model_by_its_name() -> None:
    assert select(fleet(entry(name="a"), entry(name="b")), "b").name == "b"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["qwen3-8b", "bge-m3"],
            "model: 'qwen-8b' is not in this host's inventory; did you mean 'qwen3-8b'? "
            "(fleet_models has qwen3-8b, bge-m3)",
        ),
        (["bge-m3"], "model: 'qwen-8b' is not in this host's inventory (fleet_models has bge-m3)"),
        ([], "model: 'qwen-8b' is not in this host's inventory (fleet_models is empty)"),
    ],
)
def test_names_the_models_there_are(names: list[str], message: str) -> None:
    assert faults(select, fleet(*(entry(name=name) for name in names)), "qwen-8b") == [message]


@pytest.mark.parametrize(
    ("names", "absent", "models"),
    [
        (None, [], ("a", "b")),
        (None, ["gone"], ("a", "b", "gone")),
        (None, ["a"], ("a", "b")),
        (["a"], [], ("a",)),
        (["a"], ["a"], ("a",)),
        (["gone"], ["gone"], ("gone",)),
        ([], [], ()),
        ([], ["a"], ()),
    ],
)
def test_a_run_speaks_for_the_models_it_names_and_for_all_if_it_names_none(
    names: list[str] | None, absent: list[str], models: tuple[str, ...]
) -> None:
    """An empty list of names means no model. Otherwise the removal of one model would remove all."""
    assert scope(fleet(entry(name="a"), entry(name="b"), absent_models=absent), names) == models


def test_a_run_cannot_name_a_model_that_is_not_there() -> None:
    assert faults(scope, fleet(entry(name="a")), ["b"]) == [
        "model: 'b' is not in this host's inventory (fleet_models has a)"
    ]


# Anything at all


VARIABLES = ["models", "images", "recipes", "https", "cache", "litellm", "direct_keys", "secrets", "hf_token", "mig"]
OTHERS = ["monitoring", "caddy", "litellm_admin", "absent_models", "schema", "break_lock", "unknown"]


@given(st.dictionaries(st.sampled_from(VARIABLES + OTHERS), ANYTHING, max_size=4))
def test_an_inventory_of_anything_is_a_valid_fleet_or_a_fleet_error(variables: dict[str, Any]) -> None:
    try:
        parsed = Fleet.parse({f"fleet_{name}": value for name, value in variables.items()})
    except FleetError as error:
        assert error.faults
        assert all(fault.startswith("fleet_") and fault.isprintable() for fault in error.faults)
    else:
        assert parsed.public()["schema"] == 2


@given(st.lists(ANYTHING, max_size=3))
def test_the_entries_of_anything_are_valid_models_or_a_fleet_error(entries: list[Any]) -> None:
    try:
        assert len(fleet(*entries).models) == len(entries)
    except FleetError as error:
        assert all(fault.startswith("fleet_models[") for fault in error.faults)


@pytest.mark.parametrize(
    "folder", ["/", "/etc", "/etc/", "/var/lib", "/usr/local", "/srv/my fleet", "/etc/x/..", "/a/./b", "etc/fleet"]
)
def test_the_configurations_folder_is_one_of_its_own(folder: str) -> None:
    with pytest.raises(FleetError) as caught:
        Fleet.parse({"fleet_models": [], "fleet_config_folder": folder})
    (fault,) = caught.value.faults
    assert fault.startswith("fleet_config_folder: expected an absolute path of letters, digits and . _ - / to a folder")


@pytest.mark.parametrize("folder", ["/etc/inference-fleet", "/srv/fleet/", "/var/lib/fleet", "/data/a.b/c_d"])
def test_the_configurations_folder_may_be_elsewhere(folder: str) -> None:
    assert Fleet.parse({"fleet_models": [], "fleet_config_folder": folder}).config_folder == folder.rstrip("/")

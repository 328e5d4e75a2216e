"""inference.fleet.validate and the desired_state lookup: checks of the inventory, without changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.inference.fleet.plugins.action.validate import ActionModule
from ansible_collections.inference.fleet.plugins.lookup.desired_state import LookupModule
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_variables
from ansible_collections.inference.fleet.tests.unit.authority import issue
from ansible_collections.inference.fleet.tests.unit.samples import entry

TOKEN = "hf_0123456789abcdef"
Variables = dict[str, Any]


def as_they_are(value: Any) -> Any:
    """Instead of templating."""
    return value


@pytest.fixture(autouse=True)
def of_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the fleet that another test validated."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))


def validate(variables: Variables, others: dict[str, Variables] | None = None, **arguments: Any) -> dict[str, Any]:
    """The action's answer for host gpu1. others: the variables of the play's other hosts."""
    hosts = {"gpu1": variables, **(others or {})}
    task_vars = {"inventory_hostname": "gpu1", "ansible_play_hosts": list(hosts), "hostvars": hosts, **variables}
    plugin = ActionModule(Mock(args=arguments), Mock(), Mock(), Mock(), Mock(template=as_they_are), Mock())
    answer: dict[str, Any] = plugin.run(task_vars=task_vars)
    return answer


def test_gives_the_fleet_as_a_fact_and_changes_nothing() -> None:
    answer = validate({"fleet_models": [entry()], "other": 1})
    assert answer["changed"] is False
    assert answer["ansible_facts"]["fleet"]["models"][0]["containers"] == ["vllm-qwen3-8b-1"]


def test_the_fact_holds_no_secret() -> None:
    answer = validate({"fleet_models": [entry(env={"HF_TOKEN": TOKEN})], "fleet_hf_token": TOKEN})
    assert TOKEN not in json.dumps(answer)


def test_tells_every_fault_and_that_nothing_was_touched() -> None:
    assert validate({"fleet_models": [entry(replicas=0), entry(name="x", type="llm")], "fleet_modles": 1}) == {
        "failed": True,
        "msg": "nothing was touched; the inventory of this host has faults:\n"
        "fleet_models[0] (qwen3-8b).replicas: expected a whole number of at least 1, got 0\n"
        "fleet_models[1] (x).type: expected one of chat, vision, embedding, rerank, stt, tts, image, got 'llm'\n"
        "fleet_modles: unknown key; did you mean 'fleet_models'?",
    }


class Templar:
    """Templates as Ansible does: a text with `{{` has an undefined variable."""

    def template(self, value: Any) -> Any:
        if "{{" in json.dumps(value):
            raise AnsibleError("'modelz' is undefined")
        return value


def test_an_undefined_variable_is_reported_with_the_path_that_names_it_and_with_the_other_faults() -> None:
    variables = {
        "fleet_models": [entry(name="a", source="{{ modelz }}"), entry(devices={"gpus": "{{ n }}"}, replicas="3")],
        "fleet_cache": "{{ nothing }}",
        "fleet_hf_token": TOKEN,
    }
    task_vars = {"inventory_hostname": "gpu1", "ansible_play_hosts": ["gpu1"], "hostvars": {}, **variables}
    plugin = ActionModule(Mock(args={}), Mock(), Mock(), Mock(), Templar(), Mock())
    assert plugin.run(task_vars=task_vars)["msg"].splitlines()[1:] == [
        "fleet_models[0] (a).source: 'modelz' is undefined",
        "fleet_models[1] (qwen3-8b).devices.gpus: 'modelz' is undefined",
        "fleet_cache: 'modelz' is undefined",
        "fleet_models[1] (qwen3-8b).replicas: expected a whole number of at least 1, got '3', which is text: "
        "leave the quotes out",
    ]


OLD = {"type": "chat", "source": "own/old", "image": "own/vllm:1", "args": {"seed": 1}, "env": {"A": "1"}}


def test_another_version_of_a_model_is_the_fleet_of_the_run() -> None:
    """The host's config.json has the version, and the secret of the inventory."""
    variables = {"fleet_models": [entry(replicas=2, env={"HF_TOKEN": TOKEN, "B": "2"}), entry(name="b")]}
    answer = validate(variables, model="qwen3-8b", entry=OLD, entry_secrets=["HF_TOKEN"])
    first, second = answer["ansible_facts"]["fleet"]["models"]
    assert (first["image"], first["replicas"], second["source"]) == ("own/vllm:1", 2, entry()["source"])
    task_vars = {"inventory_hostname": "gpu1", **variables}
    (state,) = LookupModule(templar=Mock(template=as_they_are)).run([], task_vars)
    assert state["fleet_models"][0]["env"] == {"A": "1", "HF_TOKEN": TOKEN}
    assert TOKEN not in json.dumps(answer)


def test_a_version_that_does_not_fit_the_inventory_is_a_fault() -> None:
    variables = {"fleet_models": [entry(replicas=2)]}
    version = {**OLD, "devices": {"gpus": [0]}}
    fault = validate(variables, model="qwen3-8b", entry=version)["msg"]
    assert fault.startswith("nothing was touched; the inventory with the previous version has faults:\n")
    assert "fleet_models[0] (qwen3-8b).devices.gpus: 2 replicas cannot share the pinned GPUs [0]" in fault
    fault = validate(variables, model="qwen3-8b", entry=OLD, entry_secrets=["HF_TOKEN"])["msg"]
    assert "\nfleet_models[0] (qwen3-8b).env.HF_TOKEN: missing; " in fault


@pytest.mark.parametrize(
    ("entry_name", "path"),
    [
        ("a", "fleet_models[0] (a).type"),
        ("A B", "fleet_models[0] (A B).type"),
        (7, "fleet_models[0].type"),
        ("", "fleet_models[0].type"),
        ("a\nb", "fleet_models[0].type"),
    ],
)
def test_a_fault_of_a_model_has_the_name_of_the_model(entry_name: object, path: str) -> None:
    faults = validate({"fleet_models": [entry(name=entry_name, type="llm")]})["msg"].splitlines()
    assert [fault for fault in faults if fault.startswith(f"{path}: ")]


def test_faults_of_keys_have_the_alias() -> None:
    keys = [{"alias": "app", "models": ["none"]}, {"alias": "app"}]
    faults = validate({"fleet_keys": keys, "fleet_models": []})["msg"]
    assert "\nfleet_keys[0] (app).models: " in faults
    assert "is also the alias of fleet_keys[0] (app)" in faults


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"fleet_models": [entry(), entry(name="b", broken=1)]}, "fleet_models[1] (b)"),
        ({"fleet_cache": {"broken": 1}}, "fleet_cache"),
    ],
)
def test_no_exception_of_python_reaches_the_user_as_it_is(
    variables: Variables, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = Fleet.parse

    def parse_or_break(given: Variables) -> Fleet:
        if "broken" in json.dumps(given):
            raise TypeError("'<' not supported between instances of 'str' and 'int'")
        return parse(given)

    monkeypatch.setattr(Fleet, "parse", parse_or_break)
    (fault,) = validate(variables)["msg"].splitlines()[1:]
    assert fault.startswith(
        f"{path}: inference.fleet does not expect this: TypeError: '<' not supported between instances of "
    )
    assert fault.endswith("; please report this message")


def test_data_that_is_nested_too_deeply_is_a_fault_with_its_path() -> None:
    deep: Any = "x"
    for _level in range(5000):
        deep = {"a": deep}
    (fault,) = validate({"fleet_models": [entry(args={"hf-overrides": deep})]})["msg"].splitlines()[1:]
    assert fault.startswith("fleet_models")
    assert "nested too deeply" in fault


def test_a_variable_left_empty_is_a_fault_among_the_others() -> None:
    assert validate({"fleet_models": None, "fleet_https": {"mode": "internal"}})["msg"].splitlines()[1:] == [
        "fleet_models: expected a value, got nothing; remove the line"
    ]
    assert len(validate({"fleet_cache": None, "fleet_models": [entry(replicas=0)]})["msg"].splitlines()) == 3


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["gpu1", "localhost"]),
        ({"ansible_host": "192.168.1.7"}, ["192.168.1.7", "gpu1", "localhost"]),
        ({"ansible_host": "gpu1"}, ["gpu1", "localhost"]),
        ({"ansible_host": "fd00::7"}, ["fd00::7", "gpu1", "localhost"]),
        ({"fleet_https": {"names": ["llm.example.com"]}}, ["llm.example.com"]),
    ],
)
def test_certificates_are_for_the_names_given_or_those_by_which_the_host_is_reached(
    variables: Variables, names: list[str]
) -> None:
    assert validate(variables)["ansible_facts"]["fleet"]["https"]["names"] == names


@pytest.mark.parametrize("name", ["", 7, "gpu 1", "<b>gpu1</b>", "a{b", "a}", "`a`", "fe80::1%eth0", "gpu1\n"])
def test_what_the_host_is_reached_by_and_is_no_name_is_left_out(name: object) -> None:
    """The Caddyfile and the page would contain the name unescaped."""
    answers = [validate({"ansible_host": name}), validate({"ansible_host": "gpu1", "inventory_hostname": name})]
    for answer in answers:
        assert answer["ansible_facts"]["fleet"]["https"]["names"] == ["gpu1", "localhost"]


def test_where_nothing_that_the_host_is_reached_by_is_a_name_it_serves_localhost() -> None:
    answer = validate({"ansible_host": "<b>", "inventory_hostname": "gpu 1"})
    assert answer["ansible_facts"]["fleet"]["https"]["names"] == ["localhost"]


@pytest.mark.parametrize(
    ("variables", "reached", "warned"),
    [
        ({"inventory_hostname": "GPU_Node_01"}, False, True),
        ({"inventory_hostname": "GPU_Node_01", "ansible_host": "gpu_1"}, False, True),
        ({"inventory_hostname": "GPU_Node_01", "ansible_host": "10.0.0.7"}, True, False),
        ({"inventory_hostname": "GPU_Node_01", "fleet_https": {"names": ["localhost"]}}, True, False),
        ({"inventory_hostname": "GPU_Node_01", "fleet_https": {"names": ["gpu1.example.com"]}}, True, False),
        ({"inventory_hostname": "localhost"}, True, False),
    ],
)
def test_a_host_whose_only_name_cannot_be_a_host_name_is_warned_what_to_set(
    variables: Variables, reached: bool, warned: bool
) -> None:
    answer = validate(variables)
    assert answer["warnings"] == (
        [
            "fleet_https.names: Caddy serves this host as localhost only, so that no other machine can use it: "
            "'GPU_Node_01' cannot be a host name; set fleet_https.names to the names or addresses that clients use, "
            "or ansible_host to the host's name or address"
        ]
        if warned
        else []
    )
    assert "GPU_Node_01" not in json.dumps(answer["ansible_facts"])


def test_of_several_addresses_only_the_first_has_its_certificate() -> None:
    names = ["llm.example.com", "10.0.0.7", "10.1.0.7"]
    assert validate({"fleet_https": {"names": names}})["warnings"] == [
        "fleet_https.names: a client that connects by address sends no name and gets the certificate of 10.0.0.7, "
        "which is not valid for 10.1.0.7; connect by a host name there"
    ]
    assert validate({"fleet_https": {"names": names[:2]}})["warnings"] == []


def test_a_host_that_is_reached_by_an_ipv6_address_has_a_base_url_with_brackets() -> None:
    fact = validate({"ansible_host": "2001:db8::7"})["ansible_facts"]["fleet"]
    assert (fact["https"]["names"][0], fact["base_url"]) == ("2001:db8::7", "https://[2001:db8::7]")


@pytest.mark.parametrize(
    ("variables", "url", "warned"),
    [
        ({"inventory_hostname": "gpu1.corp.example"}, "https://gpu1.corp.example", False),
        ({"ansible_host": "10.0.0.7", "inventory_hostname": "gpu1.corp.example"}, "https://gpu1.corp.example", False),
        ({"ansible_host": "10.0.0.7"}, "https://10.0.0.7", True),
        ({"inventory_hostname": "GPU_Node_01"}, "https://localhost", True),
    ],
)
def test_wildcards_alone_give_the_hosts_own_name_or_a_warning(variables: Variables, url: str, warned: bool) -> None:
    made = issue("*.corp.example", start=datetime.now(UTC) - timedelta(days=2))
    given = {"fleet_https": {"mode": "files", "cert": made.cert, "key": made.key}, **variables}
    answer = validate(given)
    assert answer["ansible_facts"]["fleet"]["base_url"] == url
    starts = [warning.partition(";")[0] for warning in answer["warnings"]]
    assert ["has wildcards alone (*.corp.example), and none covers" in start for start in starts] == [True] * warned


def test_a_variable_of_another_product_is_a_warning_and_a_misspelled_one_a_fault() -> None:
    answer = validate({"fleet_models": [entry()], "fleet_server_url": "https://mdm.example.com", "fleet_env": "prod"})
    assert answer["warnings"] == [
        "fleet_server_url: not a variable of inference.fleet; it has no effect",
        "fleet_env: not a variable of inference.fleet; it has no effect",
    ]
    refused = validate({"fleet_server_url": 1, "fleet_modelz": [], "fleet_https_names": ["a"]})["msg"]
    assert [line.partition(":")[0] for line in refused.splitlines()[1:]] == ["fleet_modelz", "fleet_https_names"]


def test_a_model_that_another_host_of_the_play_has_is_no_fault_of_this_one() -> None:
    others = {"gpu2": {"fleet_models": [entry(name="bge-m3")]}, "gpu3": {}}
    assert "failed" not in validate({"fleet_models": [entry()]}, others, model="bge-m3")


def test_a_model_that_no_host_of_the_play_has_is_a_fault() -> None:
    answer = validate({"fleet_models": [entry()]}, {"gpu2": {"fleet_models": []}}, model="qwen-8b")
    assert answer["msg"] == (
        "nothing was touched; -e model: 'qwen-8b' is not in this host's inventory; did you mean 'qwen3-8b'? "
        "(fleet_models has qwen3-8b)"
    )


def test_a_secret_that_does_not_rotate_is_a_fault_of_the_option_and_not_of_the_inventory() -> None:
    answer = validate({"fleet_models": [entry()]}, rotate=["nonsense"])
    assert answer["msg"].startswith(
        "nothing was touched; -e secret: expected a secret that rotates, got 'nonsense'; run"
    )


@pytest.mark.parametrize(
    "source", ["s3://bucket/qwen3-8b", "gs://bucket/a", "own/a-GGUF:Q4_K_M", "own/a/b.gguf", "https://host/a.GGUF"]
)
def test_a_source_that_is_not_supported_names_the_page_with_the_way_out(source: str) -> None:
    (_head, fault) = validate({"fleet_models": [entry(source=source)]})["msg"].splitlines()
    assert fault.endswith(f"got '{source}'; see docs/models.md, \"GGUF files and object stores\"")


def test_another_source_names_no_page() -> None:
    assert "docs/" not in validate({"fleet_models": [entry(source="https://huggingface.co/Qwen/Qwen3-8B")]})["msg"]


def test_faults_of_the_inventory_come_before_those_of_options() -> None:
    assert validate({"fleet_models": [entry(replicas=0)]}, rotate=["nonsense"])["msg"].splitlines() == [
        "nothing was touched; the inventory of this host has faults:",
        "fleet_models[0] (qwen3-8b).replicas: expected a whole number of at least 1, got 0",
    ]


@pytest.mark.parametrize("name", ["own", "whisper"])
def test_a_recipe_that_another_host_or_the_collection_has_is_no_fault_of_this_one(name: str) -> None:
    others = {"gpu2": {"fleet_recipes": {"own": {"apt": ["sox"]}}}, "gpu3": {"fleet_recipes": None}}
    answer = validate({"fleet_models": [entry()]}, others, recipe=name)
    assert (name in answer["ansible_facts"]["fleet"]["recipe_names"]) == (name == "whisper")


def test_a_recipe_that_no_host_of_the_play_has_is_a_fault() -> None:
    variables = {"fleet_recipes": {"own": {"apt": ["sox"]}}}
    answer = validate(variables, {"gpu2": {}}, recipe="onw")
    assert "recipe: 'onw' is neither in fleet_recipes nor one of the collection's own; did you mean" in answer["msg"]
    assert "recipe: '' is neither" in validate(variables, recipe="")["msg"]
    assert "own" in validate(variables, recipe="own")["ansible_facts"]["fleet"]["recipe_names"]


# The host's copy


def lookup(variables: Variables) -> Any:
    plugin = LookupModule(templar=Mock(template=as_they_are))
    plugin.set_options = lambda **_options: None
    (state,) = plugin.run([], {"inventory_hostname": "gpu1", **variables})
    return state


def test_the_desired_state_is_all_of_the_fleet_secrets_included() -> None:
    variables = {"fleet_models": [entry(env={"HF_TOKEN": TOKEN})], "fleet_hf_token": TOKEN}
    reached_by = {"fleet_https": {"names": ["gpu1", "localhost"]}}
    assert (
        lookup({**variables, "other": 1, "inventory_hostname": "gpu1"})
        == Fleet.parse({**variables, **reached_by}).desired_state()
    )


def test_the_desired_state_of_a_faulty_inventory_is_refused_with_its_faults() -> None:
    with pytest.raises(AnsibleLookupError, match=r"fleet_models: expected a list, got 'x'"):
        lookup({"fleet_models": "x"})


# Own certificates


def files(**changes: Any) -> Variables:
    made = issue("llm.example.com", start=datetime.now(UTC) - timedelta(days=2))
    return {"fleet_https": {"mode": "files", "cert": made.cert, "key": made.key, **changes}}


def test_names_are_those_of_the_certificate_and_the_fact_holds_no_key() -> None:
    answer = validate(files())
    assert answer["ansible_facts"]["fleet"]["https"]["names"] == ["llm.example.com"]
    assert answer["warnings"] == []
    assert "PRIVATE" not in json.dumps(answer)
    assert lookup(files())["fleet_https"]["names"] == ["llm.example.com"]


def test_a_certificate_that_will_not_do_is_a_fault_among_the_others() -> None:
    answer = validate({**files(key=issue().key, names=["a.example.com"]), "fleet_hf_token": None})
    assert [fault.partition(":")[0] for fault in answer["msg"].splitlines()[1:]] == [
        "fleet_hf_token",
        "fleet_https.names[0]",
        "fleet_https.key",
    ]


def test_authorities_may_be_a_file_and_must_be_certificates_that_can_be_read(tmp_path: Path) -> None:
    made = issue("site", start=datetime.now(UTC) - timedelta(days=2))
    (tmp_path / "ca.pem").write_text(made.cert)
    loader = Mock(_get_file_contents=lambda path: (Path(path).read_bytes(), True))
    given = {"inventory_hostname": "gpu1", "inventory_dir": str(tmp_path), "fleet_ca_bundle": "ca.pem"}
    assert fleet_variables(given, Mock(template=as_they_are), loader)[0]["fleet_ca_bundle"] == made.cert
    answer = validate({"fleet_ca_bundle": made.cert})
    assert list(answer["ansible_facts"]["fleet"]["ca_files"].values()) == [made.cert]
    assert answer["warnings"] == []
    assert (
        "fleet_ca_bundle: '/nowhere/ca.pem' is no file on this machine"
        in validate({"fleet_ca_bundle": "ca.pem", "inventory_dir": "/nowhere"})["msg"]
    )
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert "fleet_ca_bundle: has a certificate that is damaged" in validate({"fleet_ca_bundle": damaged})["msg"]


def test_an_authority_that_has_expired_is_a_warning() -> None:
    old = issue("site", start=datetime.now(UTC) - timedelta(days=900))
    answer = validate({"fleet_ca_bundle": old.cert})
    assert answer["warnings"][0].startswith("fleet_ca_bundle: expired on ")


def test_a_playbook_that_puts_no_certificate_in_place_only_warns() -> None:
    answer = validate(files(names=["a.example.com"]), certificates="warn")
    assert "failed" not in answer
    assert answer["warnings"][0].startswith("fleet_https.names[0]: 'a.example.com' is not covered")


def test_a_file_that_cannot_be_read_is_told_once_and_with_the_other_faults() -> None:
    answer = validate({**files(key="none.key", email="a@b.c"), "inventory_dir": "/nowhere"})
    assert [fault.partition(";")[0] for fault in answer["msg"].splitlines()[1:]] == [
        "fleet_https.key: '/nowhere/none.key' is no file on this machine",
        "fleet_https.email: belongs to mode acme, and the mode is files",
    ]
    with pytest.raises(AnsibleLookupError, match=r"fleet_https.key: '/nowhere/none.key' is no file on this machine"):
        lookup({**files(key="none.key"), "inventory_dir": "/nowhere"})


# One real run of ansible-playbook for all cases, since each run takes seconds

INVENTORY = {
    "all": {
        "hosts": {
            "good": {
                "fleet_models": [
                    {"name": "{{ chosen }}", "type": "chat", "source": "Qwen/Qwen3-8B", "env": {"HF_TOKEN": TOKEN}}
                ],
                "chosen": "qwen3-8b",
            },
            "bad": {
                "fleet_models": [{"name": "a", "type": "chat", "source": "x/y", "replicas": "two"}],
                "fleet_mgi": {},
            },
        },
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
    }
}
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "any_errors_fatal": True,
        "tasks": [
            {"inference.fleet.validate": None},
            {"ansible.builtin.copy": {"content": "", "dest": "{{ playbook_dir }}/touched"}},
        ],
    }
]


def test_one_faulty_host_stops_the_play_before_any_host_is_touched(tmp_path: Path) -> None:
    for name, content in (("hosts.yml", INVENTORY), ("play.yml", PLAY)):
        (tmp_path / name).write_text(yaml.safe_dump(content))
    run = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-vv", "-i", "hosts.yml", "play.yml"],
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "json",
            "ANSIBLE_LOCAL_TEMP": str(tmp_path),
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode != 0
    results = json.loads(run.stdout[run.stdout.index("{") :])["plays"][0]["tasks"][0]["hosts"]
    assert results["good"]["ansible_facts"]["fleet"]["models"][0]["name"] == "qwen3-8b"
    assert results["bad"]["msg"] == (
        "nothing was touched; the inventory of this host has faults:\n"
        "fleet_models[0] (a).replicas: expected a whole number of at least 1, got 'two'\n"
        "fleet_mgi: unknown key; did you mean 'fleet_mig'?"
    )
    assert not (tmp_path / "touched").exists()
    assert TOKEN not in run.stdout + run.stderr


def test_a_text_of_another_vault_password_is_a_fault_with_its_path_and_with_the_other_faults(tmp_path: Path) -> None:
    secret = VaultSecret(b"another password")
    locked = VaultLib([("default", secret)]).encrypt("sk-locked", secret).decode()
    text = f"!vault |\n{textwrap.indent(locked, ' ' * 12)}"
    (tmp_path / "password").write_text("mine")
    (tmp_path / "play.yml").write_text(yaml.safe_dump(PLAY))
    (tmp_path / "hosts.yml").write_text(
        f"""\
all:
  vars:
    ansible_connection: local
    fleet_hf_token: {text}
    fleet_secrets:
        master_key: {text}
    fleet_models:
      - {{name: a, type: llm, source: own/a}}
  hosts:
    gpu1:
"""
    )
    program = Path(sys.executable).with_name("ansible-playbook")
    folder = str(tmp_path)
    run = subprocess.run(
        [program, "--vault-password-file=password", "-i", "hosts.yml", "play.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "json", "ANSIBLE_LOCAL_TEMP": folder, "HOME": folder},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    message = json.loads(run.stdout[run.stdout.index("{") :])["plays"][0]["tasks"][0]["hosts"]["gpu1"]["msg"]
    faults = message.splitlines()[1:]
    assert [fault.partition(":")[0] for fault in faults] == [
        "fleet_hf_token",
        "fleet_secrets.master_key",
        "fleet_models[0] (a).type",
    ]
    assert all("vault" in fault.lower() for fault in faults[:2])
    assert all(
        fault.endswith("; give the vault password: --ask-vault-pass or --vault-password-file") for fault in faults[:2]
    )

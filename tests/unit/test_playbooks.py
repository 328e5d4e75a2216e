"""A playbook that would act on no host fails, so that no nightly backup is green without a backup."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import Paths
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import SWITCHES, switch, switch_faults
from jinja2 import Environment, meta

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
ROLES = PLAYBOOKS.parent / "roles"
FIRST = {
    "name": "Check that the run has a host of the group fleet",
    "ansible.builtin.import_playbook": "check_hosts.yml",
}


# Plays that other playbooks import.
PARTS = {PLAYBOOKS / "check_hosts.yml", PLAYBOOKS / "report_hosts.yml"}
IN_BATCHES = ("install", "add_model", "remove_model", "rollback", "keys", "rotate_keys")


@pytest.mark.parametrize("playbook", sorted(set(PLAYBOOKS.glob("*.yml")) - PARTS), ids=str)
def test_begins_with_the_check(playbook: Path) -> None:
    assert yaml.safe_load(playbook.read_text())[0] == FIRST


@pytest.mark.parametrize("name", IN_BATCHES)
def test_ends_with_what_it_did_on_every_host(name: str) -> None:
    report = {
        "name": "Report what the run did on every host",
        "ansible.builtin.import_playbook": "report_hosts.yml",
    }
    assert yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())[-1] == report


@pytest.mark.parametrize("name", IN_BATCHES)
def test_no_host_of_a_batch_waits_and_each_failure_is_recorded(name: str) -> None:
    """Strategy free would run a task with run_once on every host, and ignores any_errors_fatal."""
    *_checks, check, play, _report = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())
    assert "strategy" not in check and "tasks_from: check_all" in yaml.safe_dump(check)
    assert play["strategy"] == "free" and play["serial"] == "{{ __batches | map('length') }}"
    # Not the filter intersect, whose result is in another order in each run.
    assert play["vars"]["__hosts"].endswith(" | default([]) | select('in', ansible_play_hosts_all) }}")
    assert {**check["vars"], **play["vars"]}.items() >= check["vars"].items()
    (task,) = play["tasks"]
    assert task["block"][0]["ansible.builtin.import_role"]["tasks_from"] == "turn"
    assert task["block"][-1]["inference.fleet.summary"] == {"record": True}
    assert [one["inference.fleet.summary"] for one in task["rescue"]] == [{"record": True, "failed": True}]
    assert [one["ansible.builtin.import_role"]["tasks_from"] for one in task["always"]] == ["end"]
    roles = {
        one["ansible.builtin.import_role"]["name"] for one in task["block"] if "ansible.builtin.import_role" in one
    }
    files = [file for role in roles for file in (ROLES / role.rpartition(".")[2] / "tasks").glob("*.yml")]
    apart = {ROLES / "fleet" / "tasks" / f"{part}.yml" for part in ("begin", "check_all")}
    for text in [yaml.safe_dump(play), *(file.read_text() for file in files if file not in apart)]:
        assert not re.search(r"^ *(run_once|any_errors_fatal): ", text, re.MULTILINE)


@pytest.mark.parametrize("file", sorted([*PLAYBOOKS.glob("*.yml"), *ROLES.glob("*/tasks/*.yml")]), ids=str)
def test_prints_no_list_as_json(file: Path) -> None:
    """Lists, and values that may be lists, are printed by inference.fleet.show."""
    found = re.findall(r"ansible\.builtin\.debug:\n\s+msg:(.*\n?.*)", file.read_text())
    assert [message for message in found if re.match(r'\s*(- |"\{\{[^}]*\}\}"$)', message, re.MULTILINE)] == []


@pytest.mark.parametrize(
    ("inventory", "words", "found"),
    [
        ("gpu_servers: {hosts: {gpu1: }}", [], "no host in a group fleet (its groups: gpu_servers)"),
        ("gpu_servers: {hosts: {gpu1: }}", ["--limit", "gpu1"], "no host in a group fleet (its groups: gpu_servers)"),
        ("{fleet: {hosts: }, web: {hosts: {w1: }}}", [], "no host in a group fleet (its groups: web)"),
        (
            "{fleet: {hosts: {gpu1: }}, web: {hosts: {w1: }}}",
            ["--limit", "w1"],
            "none of the hosts of this run (--limit)",
        ),
        ("{}", [], "no host in a group fleet (its groups: none)"),
    ],
)
def test_refuses_a_run_without_a_host_of_the_fleet(
    inventory: str, words: list[str], found: str, tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text(inventory)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml"), *words]
    run = subprocess.run([*command, "inference.fleet.backup"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert found in run.stdout + run.stderr


def test_lets_a_run_with_a_host_of_the_fleet_through(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("fleet: {children: {gpu_servers: {hosts: {gpu1: }}}}")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    run = subprocess.run([*command, str(PLAYBOOKS / "check_hosts.yml")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_accepts_the_tags_that_molecule_skips(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("fleet: {hosts: {gpu1: }}")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    command += ["--skip-tags", "molecule-notest,notest,molecule-idempotence-notest"]
    run = subprocess.run([*command, str(PLAYBOOKS / "check_hosts.yml")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("words", [["--tags", "litellm"], ["--skip-tags", "mig"]])
def test_refuses_tags_before_a_host_is_contacted(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("fleet: {hosts: {gpu1: {ansible_host: 192.0.2.1}}}")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml"), *words]
    run = subprocess.run([*command, "inference.fleet.install"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "--tags and --skip-tags are not supported" in run.stdout + run.stderr
    assert "missing required arguments" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["-e", "follow=maybe"], "-e follow=maybe: expected true or false"),
        (["-e", "prune=maybe"], "-e prune=maybe: expected true or false"),
        (["-e", '{"mig_force": 2}'], "-e mig_force=2: expected true or false"),
        (["-e", "uninstall_confirm="], "-e uninstall_confirm=: expected true or false"),
        (
            ["-e", "prune=ja update=y", "-e", "other_host=si"],
            "-e other_host=si: expected true or false; -e prune=ja: expected true or false",
        ),
    ],
    ids=str,
)
def test_names_an_option_that_is_neither_true_nor_false_as_it_was_written(
    words: list[str], fault: str, tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text("fleet: {hosts: {gpu1: {ansible_host: 192.0.2.1}}}")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml"), *words]
    run = subprocess.run([*command, "inference.fleet.install"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"nothing was done; {fault}" in run.stdout + run.stderr
    assert "UNREACHABLE" not in run.stdout


@pytest.mark.parametrize("value", ["yes", "True", "0", "off", True, False, 1])
def test_reads_what_ansible_reads_as_true_or_false(value: object) -> None:
    assert switch_faults({"prune": value, "format": "maybe"}) == []


def test_an_action_names_an_option_that_is_neither_true_nor_false() -> None:
    with pytest.raises(FleetError, match=r"^wait: expected true or false, got 'maybe'$"):
        switch({"wait": "maybe"}, "wait")
    assert switch({}, "wait", True) and not switch({"wait": "no"}, "wait", True)


@pytest.mark.parametrize("file", sorted(ROLES.glob("*/tasks/*.yml")), ids=str)
def test_every_service_container_runs_with_an_init(file: Path) -> None:
    blocks = re.findall(r"inference\.fleet\.service_container:\n((?:\s{4,}.*\n)+)", file.read_text())
    for block in blocks:
        assert "image:" not in block or "init: true" in block


@pytest.mark.parametrize("name", ["install", "reboot_restore"])
def test_what_removes_the_models_of_no_inventory_asks_for_a_word_before_it_removes_all(name: str) -> None:
    plays = [one for one in yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text()) if "hosts" in one]
    for play in plays:
        assert play["vars"]["fleet_remove_all"] == "{{ prune }}"
        assert play["vars"]["prune"] == (False if name == "install" else "{{ restore_by_itself | default(false) }}")
    assert len(plays) == (2 if name == "install" else 1)


def test_uninstall_removes_by_name_and_after_a_confirmation() -> None:
    """Weights that an admin copied into the state folder stay, and so do the keys."""
    play = yaml.safe_load((PLAYBOOKS / "uninstall.yml").read_text())[1]
    tasks = play["tasks"][0]["block"]
    removing = [index for index, task in enumerate(tasks) if "absent" in yaml.safe_dump(task)]
    asked = [index for index, task in enumerate(tasks) if task["name"] == "Stop unless the removal is confirmed"]
    assert asked[0] < min(removing)
    paths = Paths("/etc/inference-fleet")
    assert not {paths.state, paths.config, paths.secrets, paths.energy} & set(paths.replaceable)
    for kept in (paths.secrets, paths.energy, f"{paths.state}/models"):
        assert not [path for path in paths.replaceable if kept == path or kept.startswith(f"{path}/")]
    (state,) = [task for task in tasks if task.get("ansible.builtin.file", {}).get("path") == "{{ fleet.paths.state }}"]
    assert state["when"] == "__others.matched == 0"


@pytest.mark.parametrize(
    "playbook",
    ["prefetch", "preflight", "status", "drift", "add_model -e model=a", "build_images", "backup", "root_certificate"],
)
def test_a_fault_of_the_inventory_is_printed_once(playbook: str, tmp_path: Path) -> None:
    fault = "fleet_models[0] (a).type: expected one of chat"
    host = {"ansible_connection": "local", "ansible_become": False, "fleet_models": [{"name": "a", "type": "llm"}]}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"fleet": {"hosts": {"gpu1": host}}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    words = f"inference.fleet.{playbook}".split()
    run = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert (run.stdout + run.stderr).count(fault) == 1
    assert f"gpu1\n  nothing was touched; the inventory of this host has faults:\n  {fault}" in run.stdout
    assert "Check the host" not in run.stdout


@pytest.mark.parametrize("playbook", ["install", "keys", "backup", "uninstall", "prune_cache", "reboot_restore"])
def test_a_run_that_took_no_lock_releases_none(playbook: str) -> None:
    text = (PLAYBOOKS / f"{playbook}.yml").read_text()
    assert "register: __fleet_lock" in text + (ROLES / "fleet/tasks/begin_alone.yml").read_text()
    (release,) = yaml.safe_load((ROLES / "fleet/tasks/end.yml").read_text())
    assert release["when"] == "__fleet_lock is defined"


def test_after_a_fault_of_the_inventory_no_host_is_contacted(tmp_path: Path) -> None:
    host = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=1", "fleet_models": 1}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"fleet": {"hosts": {"gpu1": host}}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    run = subprocess.run([*command, "inference.fleet.install"], capture_output=True, text=True, check=False)
    assert "fleet_models: expected a list" in run.stdout
    assert "UNREACHABLE" not in run.stdout


ONE_LINE = """
- hosts: all
  gather_facts: false
  tasks:
    - inference.fleet.show: {lines: no such thing, fail: true}
"""
READ = """
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - block:
            - inference.fleet.show: {lines: [one, two], fail: true}
              register: __read
      rescue:
        - ansible.builtin.assert: {that: "ansible_failed_result.msg == 'one\\ntwo' and __read.msg == 'one\\ntwo'"}
        - inference.fleet.show: {lines: [three, four], fail: true}
"""


def test_the_page_is_not_installed_on_a_machine_that_a_limit_leaves_out(tmp_path: Path) -> None:
    """The play of this machine would match no host, and the run end with exit code 0."""
    (tmp_path / "hosts.yml").write_text("fleet: {hosts: {gpu1: }}")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    command += ["--limit", "gpu1", "inference.fleet.page"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "the page is installed on this machine; run the playbook without --limit" in run.stdout + run.stderr


def test_the_page_asks_before_it_is_opened_to_other_machines(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("fleet: {hosts: {gpu1: }}")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    command += ["-e", "ansible_become=false page_address=0.0.0.0", "--check", "inference.fleet.page"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "page_address: other machines reach 0.0.0.0, so a login is needed" in run.stdout
    assert "so TLS is needed" in run.stdout
    assert "Create the group" not in run.stdout


def test_quickstart_removes_the_service_also_without_a_terminal() -> None:
    """`./quickstart --down` has been the request; without a terminal a question ends the run."""
    text = (PLAYBOOKS.parent / "quickstart").read_text()
    assert re.findall(r"^ *playbook inference\.fleet\.uninstall(.*)$", text, re.MULTILINE) == [
        " --extra-vars uninstall_confirm=true"
    ]


def test_a_fault_of_one_line_is_printed_once(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(ONE_LINE)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "play.yml"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, (run.stdout + run.stderr).count("no such thing")) == (2, 1)


def test_a_rescue_reads_the_whole_message(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(READ)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "play.yml"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "localhost\n  three\n  four\n" in run.stdout
    assert run.stdout.count("two") == 1


BROKEN = """
- hosts: all
  gather_facts: false
  vars:
    fleet: {cache: {downloads: never}, models: []}
    __fleet_host: {layout: {}}
    vllm_model_wait: true
  tasks:
    - ansible.builtin.import_role: {name: inference.fleet.vllm_model, rolespec_validate: false}
    - ansible.builtin.debug: {msg: the run goes on}
    - ansible.builtin.import_role: {name: inference.fleet.fleet, tasks_from: verdict, rolespec_validate: false}
"""


def test_the_log_of_an_engine_is_printed_once_and_the_run_goes_on_and_fails(tmp_path: Path) -> None:
    """The role's module fails here, since the inventory has a fault with the text of a log."""
    (tmp_path / "hosts.yml").write_text(
        "all: {hosts: {gpu1: {ansible_connection: local, fleet_models: [{name: vllm-log, type: end-of-log}]}}}"
    )
    (tmp_path / "play.yml").write_text(BROKEN)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    assert (run.returncode, output.count("the run goes on")) == (2, 1), output
    assert output.count("got 'end-of-log'") == 1
    assert "gpu1\n  the run is incomplete; the faults:\n  " in output
    assert '"msg": "the run is incomplete; the faults: (the rest is printed above)"' in output


# docs/playbooks.md

# Variables that Ansible, the inventory or the unit of the restore sets.
GIVEN = {"fleet", "groups", "hostvars", "item", "lookup", "omit", "query", "restore_by_itself"}
# Options that a role reads -> what a playbook with this option contains.
OF_ROLES = {
    "fleet_break_lock": r"tasks_from: (begin|check_all)",
    "mig_force": r"inference\.fleet\.mig$",
    "page_state": r"inference\.fleet\.page$",
}
EXPRESSIONS = ("when", "that", "until", "changed_when", "failed_when")


class AnyName(dict[str, Any]):
    """Filters and tests of Ansible, for jinja2's parser."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return str

    def get(self, name: str, default: Any = None) -> Any:
        return str


def templates(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for one in part:
            yield from templates(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            texts = list(templates(value))
            yield from (f"{{{{ {text} }}}}" for text in texts) if key in EXPRESSIONS else texts


def options_of(text: str) -> set[str]:
    """The variables that the playbook reads and that nothing but `-e` sets."""
    jinja = Environment()
    jinja.filters = jinja.tests = AnyName()
    names: set[str] = set()
    for template in templates(yaml.safe_load(text)):
        names |= meta.find_undeclared_variables(jinja.parse(template))
    names = {
        name for name in names if name not in GIVEN and not name.startswith(("_", "ansible_", "inventory_", "fleet_"))
    }
    names |= {name for name, uses in OF_ROLES.items() if re.search(uses, text, re.MULTILINE)}
    return names | ({"fleet_break_lock"} if "fleet_break_lock" in text else set())


def test_every_option_of_a_playbook_is_in_the_table_and_nothing_else() -> None:
    table: dict[str, set[str]] = defaultdict(set)
    for line in (PLAYBOOKS.parent / "docs" / "playbooks.md").read_text().splitlines():
        if line.startswith("| `"):
            options, playbooks = line.split("|")[1:3]
            for playbook in playbooks.split(","):
                table[playbook.strip()].update(re.findall(r"`([a-z_]+)`", options))
    used = {playbook.stem: options_of(playbook.read_text()) for playbook in PLAYBOOKS.glob("*.yml")}
    assert {name: options for name, options in used.items() if options} == dict(table)


@pytest.mark.parametrize("playbook", sorted(set(PLAYBOOKS.glob("*.yml")) - PARTS), ids=str)
def test_no_variable_of_an_inventory_is_taken_for_an_option(playbook: Path) -> None:
    """Variables of a play hide those of an inventory, and `-e` hides both."""
    for play in yaml.safe_load(playbook.read_text()):
        if "hosts" in play:
            assert sorted(options_of(yaml.safe_dump([play])) - set(play.get("vars", {}))) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("remove_model", "model is not defined: run again"),
        ("rollback", "model is not defined: run again"),
        ("rotate_keys", "no secret is named"),
        ("restore_backup", "this run has no file and gpu1"),
        ("status -e format=yaml", "format: expected text or json, got 'yaml'"),
        ("status", "the inventory of this host has faults"),
        ("drift -e format=yaml", "format: expected text or json, got 'yaml'"),
    ],
)
def test_an_inventory_with_variables_of_these_names_has_no_effect(words: str, found: str, tmp_path: Path) -> None:
    host = {"ansible_connection": "local", "ansible_become": False, "fleet_models": 1}
    if "format" in words:
        host["fleet_models"] = []
        host["ansible_python_interpreter"] = "/no/such/python"
    generic = {"model": "a", "secret": "master_key", "file": "/b", "format": "html", "prune": True, "follow": "maybe"}
    inventory = {"fleet": {"hosts": {"gpu1": host}}, "all": {"vars": generic}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    run = subprocess.run([*command, *f"inference.fleet.{words}".split()], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert found in run.stdout + run.stderr


def test_every_option_that_is_true_or_false_is_checked() -> None:
    table = (PLAYBOOKS.parent / "docs" / "playbooks.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|[^|]*\| `true`: ", table, re.MULTILINE)
    assert sorted(named) == sorted(SWITCHES)


def test_the_readme_names_every_playbook() -> None:
    readme = (PLAYBOOKS.parent / "README.md").read_text()
    names = {playbook.stem for playbook in PLAYBOOKS.glob("*.yml")} - {"check_hosts", "report_hosts", "prune_cache"}
    assert [name for name in sorted(names) if f"inference.fleet.{name}" not in readme] == []

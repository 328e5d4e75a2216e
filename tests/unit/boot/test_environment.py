"""The environment of the boot-time restore: a complete one stays in use when creating another fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.boot import environment
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import (
    ansible_core,
    digest,
    renew,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import restore_environment as module
from ansible_collections.inference.fleet.tests.unit.preflight.systems import System
from ansible_collections.inference.fleet.tests.unit.running import Module


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path, tmp_path / "opt")


@pytest.fixture
def main(system: System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Module:
    monkeypatch.setattr(environment, "PYTHON", str(system.root / "python3"))
    monkeypatch.setattr(module.AnsibleModule, "run_command", lambda _self, command, **_more: system.run(command))
    return Module(module.main, capsys)


def requirements(version: str) -> str:
    return f"ansible-core=={version} \\\n    --hash=sha256:{'0' * 64}\n"


def folder_name(version: str, python: str = "python3.11") -> str:
    return f"venv-{version}-{digest(requirements(version))[:8]}-{python}"


def made(system: System, version: str = "2.19.14") -> System:
    renew(system.folder, version, requirements(version), system.python, system.run)
    return system


def in_use(system: System) -> str | None:
    return ansible_core(system.folder / "venv", system.python)


def names(system: System) -> set[str]:
    return {path.name for path in system.folder.iterdir()}


def refused(system: System, version: str) -> str:
    with pytest.raises(FleetError) as caught:
        made(system, version)
    return str(caught.value)


# What counts as one


def test_one_that_an_early_version_made_in_its_place_counts(system: System) -> None:
    system.install("venv", "2.19.14")
    assert in_use(system) == "2.19.14"


@pytest.mark.parametrize(
    "missing", ["bin/python3", "lib/python3.11/site-packages/ansible_core-2.19.14.dist-info/RECORD"]
)
def test_one_that_is_there_in_part_counts_as_none(system: System, missing: str) -> None:
    (made(system).folder / "venv" / missing).unlink()
    assert in_use(system) is None


def test_one_for_a_python_that_was_replaced_counts_as_none(system: System) -> None:
    made(system).upgrade("python3.13")
    assert in_use(system) is None


def test_one_for_a_python_that_is_there_beside_the_systems_counts_as_none(system: System) -> None:
    made(system).upgrade("python3.13")
    (system.root / "python3.11").touch()
    assert in_use(system) is None


# Another one


def test_the_first_is_made_where_it_stays(system: System) -> None:
    made(system)
    assert names(system) == {"venv", folder_name("2.19.14")}
    assert (system.folder / "venv").readlink() == Path(folder_name("2.19.14"))


@pytest.mark.parametrize("before", ["venv", "venv-2.19.13-python3.11"], ids=["in place", "linked"])
def test_another_version_takes_the_place_of_the_one_before(system: System, before: str) -> None:
    system.install(before, "2.19.14")
    if before != "venv":
        (system.folder / "venv").symlink_to(before)
    system.index.add("2.19.15")
    made(system, "2.19.15")
    assert in_use(system) == "2.19.15"
    assert names(system) == {"venv", folder_name("2.19.15")}


def test_another_python_gets_one_of_its_own(system: System) -> None:
    made(system).upgrade("python3.13")
    made(system)
    assert in_use(system) == "2.19.14"
    assert names(system) == {"venv", folder_name("2.19.14", "python3.13")}


def has_one(system: System, in_place: bool) -> None:
    """An environment in use; in place: a folder, as early versions created it."""
    if in_place:
        system.install("venv", "2.19.14")
    else:
        made(system)


# A version that cannot be installed


@pytest.mark.parametrize("in_place", [True, False])
def test_the_one_before_stays_in_use_and_the_way_out_is_reported(system: System, in_place: bool) -> None:
    has_one(system, in_place)
    before = names(system)
    assert refused(system, "2.99.0").splitlines() == [
        f"{system.folder}/venv: no environment with ansible-core 2.99.0 for python3.11 could be created: "
        f"`{system.ran[-2]}` ended with 1",
        "ERROR: nothing matches ansible-core==2.99.0",
        "The previous one is still in use, ansible-playbook [core 2.19.14]. What to do: provide the files of the pins, "
        "unchanged, at the source in the host's /etc/pip.conf (a mirror, or a folder of wheels), or set "
        "restore_ansible_core and restore_requirements to what is there; then run install again",
    ]
    assert (names(system), in_use(system)) == (before, "2.19.14")


def test_without_one_before_it_says_that_the_host_cannot_restore_itself(system: System) -> None:
    assert "\nWithout it, this host cannot restore the fleet at boot. What to do: " in refused(system, "2.99.0")
    assert names(system) == set()


def test_one_that_does_not_run_takes_no_ones_place(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    made(system).index.add("2.19.15")
    real = system.run

    def broken(command: Any) -> tuple[int, str, str]:
        answer = real(command)
        return (1, "", "no such module") if "2.19.15" in command[0] and "--version" in command else answer

    monkeypatch.setattr(system, "run", broken)
    assert "--version` ended with 1\nno such module\nThe previous one is still in use" in refused(system, "2.19.15")
    assert names(system) == {"venv", folder_name("2.19.14")}


def test_a_version_that_pip_calls_otherwise_is_refused(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ansible_core", lambda *_any: "2.19.0")
    monkeypatch.setattr(environment, "_do", lambda _run, *words: "venv" in words and Path(words[-1]).mkdir())
    assert "could be created: pip installed 2.19.0 instead\n" in refused(system, "2.19")


# Cut off


@pytest.mark.parametrize("in_place", [True, False])
def test_a_run_that_is_killed_while_pip_is_at_work_leaves_what_was_there(system: System, in_place: bool) -> None:
    has_one(system, in_place)
    system.index.add("2.19.15")
    system.killed = "pip"
    with pytest.raises(KeyboardInterrupt):
        made(system, "2.19.15")
    assert in_use(system) == "2.19.14"
    system.killed = ""
    made(system, "2.19.15")
    assert names(system) == {"venv", folder_name("2.19.15")}


@pytest.mark.parametrize("cut", ["symlink_to", "replace"])
def test_a_run_that_is_killed_at_the_switch_is_put_right_without_pip(
    system: System, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """When a folder of an early version is replaced, no environment is in use for a moment."""
    system.install("venv", "2.19.14")
    system.index.add("2.19.15")

    def killed(*_any: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        real, calls = Path.symlink_to, []

        def second(link: Path, target: Any) -> None:  # the first is of the environment itself
            calls.append(link)
            return killed() if len(calls) > 1 else real(link, target)

        patch.setattr(Path, cut, second if cut == "symlink_to" else killed)
        with pytest.raises(KeyboardInterrupt):
            made(system, "2.19.15")
    system.index.clear()
    made(system, "2.19.15")
    assert in_use(system) == "2.19.15"
    assert names(system) == {"venv", folder_name("2.19.15")}


# The module


def test_the_module_makes_it_and_then_has_nothing_to_do(main: Module, system: System) -> None:
    arguments = {"path": str(system.folder), "ansible_core": "2.19.14", "requirements": requirements("2.19.14")}
    promised = main(check=True, **arguments)
    assert (promised["changed"], names(system)) == (True, set())
    answer = main(**arguments)
    assert answer == promised
    after = f"ansible-core 2.19.14, pins {digest(arguments['requirements'])[:8]}\n"
    assert answer["diff"] == {"before": "no ansible-core\n", "after": after}
    system.ran.clear()
    assert (main(**arguments)["changed"], system.ran) == (False, [])


def test_pip_gets_the_proxy_and_the_certificates_in_its_environment(
    main: Module, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments: list[dict[str, str]] = []

    def run(_self: Any, command: list[str], environ_update: dict[str, str], **_more: Any) -> tuple[int, str, str]:
        environments.append(environ_update)
        return system.run(command)

    monkeypatch.setattr(module.AnsibleModule, "run_command", run)
    monkeypatch.setattr(module, "bundle", lambda: "/etc/ssl/bundle.crt")
    proxy = {"url": "http://me:hunter22@proxy.example:3128", "no_proxy": ["corp.example"]}
    pinned = {"ansible_core": "2.19.14", "requirements": requirements("2.19.14")}
    answer = main(path=str(system.folder), **pinned, proxy=proxy, host_certificates=True)
    assert answer["changed"]
    assert {one["HTTPS_PROXY"] for one in environments} == {proxy["url"]}
    assert environments[0]["PIP_CERT"] == "/etc/ssl/bundle.crt"
    assert not any("hunter22" in command for command in system.ran)


@pytest.mark.parametrize(
    ("there", "used"),
    [
        (["python3.11"], "python3.11"),
        (["python3.9"], "python3.9"),
        (["python3.9", "python3.11"], "python3.11"),
        (["python3.9", "python3.11", "python3.12"], "python3.12"),
        (["python3.13", "python3.12"], "python3.13"),
    ],
)
def test_ansible_gets_a_newer_python_where_the_systems_is_too_old(
    there: list[str], used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in there:
        (tmp_path / name).touch()
    (tmp_path / "python3").symlink_to(there[0])
    monkeypatch.setattr(environment, "PYTHON", str(tmp_path / "python3"))
    assert environment.python_for_ansible() == tmp_path / used


def test_the_module_tells_what_it_cannot_have(main: Module, system: System) -> None:
    answer = main(path=str(system.folder), ansible_core="2.99.0", requirements=requirements("2.99.0"))
    assert answer["failed"] is True
    assert answer["msg"].startswith(f"{system.folder}/venv: no environment with ansible-core 2.99.0 for python3.11")


def test_other_pins_of_the_same_version_get_a_new_environment(main: Module, system: System) -> None:
    """As after an update of cryptography alone, and on a host whose environment was made without hashes."""
    arguments = {"path": str(system.folder), "ansible_core": "2.19.14"}
    system.install("venv-2.19.14-python3.11", "2.19.14")
    (system.folder / "venv").symlink_to("venv-2.19.14-python3.11")
    answer = main(**arguments, requirements=requirements("2.19.14"))
    assert answer["diff"]["before"] == "ansible-core 2.19.14, pins none\n"
    assert names(system) == {"venv", folder_name("2.19.14")}
    other = requirements("2.19.14") + f"cffi==2.1.1 --hash=sha256:{'1' * 64}\n"
    assert main(**arguments, requirements=other)["changed"] is True
    assert (system.folder / "venv" / environment.PINS).read_text() == other
    assert main(**arguments, requirements=other)["changed"] is False


# For the page


def test_the_environment_of_the_page_imports_from_further_folders(system: System) -> None:
    renew(system.folder, "2.19.14", requirements("2.19.14"), system.python, system.run, "page", ["/opt/a", "/opt/b"])
    file = system.folder / "venv/lib/python3.11/site-packages/inference-fleet.pth"
    assert file.read_text() == "/opt/a\n/opt/b\n"


def test_a_failure_of_the_page_names_the_variables_of_the_page(system: System) -> None:
    with pytest.raises(FleetError) as caught:
        renew(system.folder, "2.99.0", requirements("2.99.0"), system.python, system.run, "page")
    text = str(caught.value)
    assert "Without it, the page does not start. What to do: " in text
    assert text.endswith("or set page_requirements to what is there; then run page again")

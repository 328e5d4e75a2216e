"""An edit of the inventory: what changes in its files, its faults, and the difference that a person sees."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import read
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, changed, host, inventory
from fleet_page.edits import HIDDEN, entry_edit, variable_edit
from fleet_page.inventory import Inventory
from hypothesis import given
from hypothesis import strategies as st


def after(found: Inventory, *edits: Any) -> str:
    proposal = found.proposal("x", edits)
    assert not proposal.faults
    ((_before, text),) = proposal.texts.values()
    return text


def test_a_key_of_a_model_changes_one_line(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    assert after(found, changed(found, "b", replicas=3)) == ONE.replace("replicas: 2", "replicas: 3")


def test_line_ends_of_windows_stay(folder: Path) -> None:
    text = ONE.replace("\n", "\r\n").encode()
    (folder / "hosts.yml").write_bytes(text)
    found = Inventory(folder)
    found.write(found.proposal("x", [changed(found, "b", replicas=3)]), "alice")
    assert (folder / "hosts.yml").read_bytes() == text.replace(b"replicas: 2", b"replicas: 3")


def test_a_new_model_is_added_at_the_end(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    entry = {"name": "c", "type": "chat", "source": "Qwen/Qwen3-8B"}
    text = after(found, entry_edit(found.snapshot(), "gpu1", "fleet_models", None, entry, "x"))
    assert text.startswith(ONE)
    assert [one["name"] for one in yaml.safe_load(text)["fleet"]["vars"]["fleet_models"]] == ["a", "b", "c"]


def test_a_model_is_removed_with_its_comment_only(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    text = after(found, entry_edit(found.snapshot(), "gpu1", "fleet_models", "b", None, "x"))
    assert {*ONE.splitlines()} > {*text.splitlines()}
    assert [one["name"] for one in yaml.safe_load(text)["fleet"]["vars"]["fleet_models"]] == ["a"]


def test_the_first_model_of_a_host_makes_a_file_of_the_host(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": "fleet: {hosts: {gpu1: {}}}\n"})
    entry = {"name": "c", "type": "chat", "source": "Qwen/Qwen3-8B"}
    proposal = found.proposal("x", [entry_edit(found.snapshot(), "gpu1", "fleet_models", None, entry, "x")])
    assert proposal.texts == {
        folder / "host_vars/gpu1.yml": (
            None,
            "---\nfleet_models:\n  - name: c\n    type: chat\n    source: Qwen/Qwen3-8B\n",
        )
    }
    assert proposal.hosts == ("gpu1",)


def test_a_proposal_changes_nothing_on_disk(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    before = found.digest()
    found.proposal("x", [changed(found, "b", replicas=3)])
    assert found.digest() == before


def test_a_model_that_somebody_else_removed_is_a_fault(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    with pytest.raises(FleetError, match="fleet_models has no entry z any more; look at the inventory again"):
        entry_edit(found.snapshot(), "gpu1", "fleet_models", "z", {"name": "z"}, "x")


FAULTY: list[tuple[dict[str, Any], str]] = [
    ({"replicas": -1}, "fleet_models[1] (b).replicas: expected a whole number"),
    ({"type": "talk"}, "fleet_models[1] (b).type: expected "),
    ({"name": "a"}, "fleet_models[1] (a).name: "),
    ({"nonsense": 1}, "nonsense"),
    ({"source": "<script>alert(1)</script>"}, "fleet_models[1] (b).source: expected "),
]


@pytest.mark.parametrize(("keys", "words"), FAULTY)
def test_faults_are_the_words_of_the_collection(folder: Path, keys: dict[str, Any], words: str) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    faults = found.proposal("x", [changed(found, "b", **keys)]).faults
    assert any(words in fault for fault in faults), faults


def test_what_was_wrong_before_does_not_stop_another_change(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE.replace("replicas: 2", "replicas: -2")})
    assert host(found).fleet is None
    assert found.proposal("x", [changed(found, "a", replicas=3)]).faults == ()
    # The fault moves to another index.
    gone = entry_edit(found.snapshot(), "gpu1", "fleet_models", "a", None, "x")
    assert found.proposal("x", [gone]).faults == ()
    assert found.proposal("x", [changed(found, "a", replicas=-3)]).faults != ()


def test_names_all_hosts_that_a_shared_value_changes(folder: Path) -> None:
    text = ONE.replace("    gpu1:\n", "    gpu2:\n    gpu1:\n")
    found = inventory(folder, {"hosts.yml": text})
    assert found.snapshot().sharing("gpu1", "fleet_models") == ["gpu1", "gpu2"]
    assert found.proposal("x", [changed(found, "b", replicas=3)]).hosts == ("gpu1", "gpu2")


SECRETS = {
    "a value": ("fleet_hf_token: hf_abcdefgh\n", "hf_abcdefgh"),
    "a quoted value": ("fleet_hf_token: 'it''s secret'\n", "it''s secret"),
    "a value with escapes": ('fleet_hf_token: "se\\u0063ret"\n', "se\\u0063ret"),
    "an own secret": ("fleet_secrets: {grafana_password: hunter22}\n", "hunter22"),
    "a block": ("fleet_secrets:\n  master_key: |\n    first line\n    second line\n", "second line"),
    "of Ansible": ("ansible_become_password: hunter22\n", "hunter22"),
    "in a URL": ("fleet_proxy: {http: 'http://me:hunter22@proxy:3128'}\n", "hunter22"),
    "of the environment": ("other: {env: {API_TOKEN: hunter22}}\n", "hunter22"),
    "a number": ("ansible_password: 12345678\n", "12345678"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_beside_a_change_is_in_the_difference(folder: Path, name: str) -> None:
    text, secret = SECRETS[name]
    found = inventory(
        folder, {"hosts.yml": "fleet: {hosts: {gpu1: {}}}\n", "host_vars/gpu1.yml": f"{text}fleet_energy: true\n"}
    )
    words = found.proposal("x", [variable_edit(found.snapshot(), "gpu1", "fleet_energy", False, "x")]).difference()
    assert "+fleet_energy: false" in words
    assert secret not in words and HIDDEN in words


@pytest.mark.parametrize("value", ["hf_other-token", None])
def test_a_secret_that_is_changed_or_removed_is_not_in_the_difference(folder: Path, value: str | None) -> None:
    text = "fleet_hf_token: hf_abcdefgh\nfleet_energy: true\n"
    found = inventory(folder, {"hosts.yml": "fleet: {hosts: {gpu1: {}}}\n", "host_vars/gpu1.yml": text})
    words = found.proposal("x", [variable_edit(found.snapshot(), "gpu1", "fleet_hf_token", value, "x")]).difference()
    assert f"-fleet_hf_token: {HIDDEN}" in words
    assert "hf_" not in words.replace("fleet_hf_", "")


def test_a_template_is_in_the_difference(folder: Path) -> None:
    text = "fleet_hf_token: \"{{ lookup('env', 'HF_TOKEN') }}\"\nfleet_energy: true\n"
    found = inventory(folder, {"hosts.yml": "fleet: {hosts: {gpu1: {}}}\n", "host_vars/gpu1.yml": text})
    words = found.proposal("x", [variable_edit(found.snapshot(), "gpu1", "fleet_energy", False, "x")]).difference()
    assert "lookup('env', 'HF_TOKEN')" in words


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
COMMENTS = st.sampled_from(["", "  # kept", "   # {{ x }}: [", ""])
STYLES = st.sampled_from(["{0}", '"{0}"', "'{0}'"])


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[str]]:
    """The text of an inventory in a person's hand, and the names of its models."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    indent = draw(st.sampled_from([0, 2, 4]))
    lines = ["---", "fleet:", "  hosts: {gpu1: {}}", "  vars:", "    fleet_models:"]
    for name in names:
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", "    # a comment", "#out: of line"])))
        style, comment = draw(STYLES), draw(COMMENTS)
        if draw(st.integers(0, 3)) == 0:
            lines.append(
                f"{' ' * (4 + indent)}- {{name: {style.format(name)}, type: chat, source: a/b, replicas: 1}}{comment}"
            )
            continue
        dash, gap = " " * (4 + indent) + "-", " " * draw(st.integers(1, 3))
        rest = " " * (len(dash) + len(gap))
        lines.append(f"{dash}{gap}name: {style.format(name)}{comment}")
        keys = draw(st.permutations(["type: chat", "source: a/b", "replicas: 1", 'env: {A: "{{ b }}", C: 1}']))
        lines += [f"{rest}{key}{draw(COMMENTS)}" for key in keys]
    if draw(st.booleans()):
        lines += ["    fleet_energy: on # the end"]
    return "\n".join(lines) + "\n", names


def proposed(text: str, change: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        found = inventory(Path(folder).resolve(), {"hosts.yml": text})
        ((_before, new),) = found.proposal("x", [change(found)]).texts.values()
        return new


@given(written(), st.data())
def test_any_edit_of_a_key_changes_the_lines_of_this_key_only(made: tuple[str, list[str]], data: st.DataObject) -> None:
    text, names = made
    name = data.draw(st.sampled_from(names))
    new = proposed(text, lambda found: changed(found, name, replicas=7))
    before, after_ = text.splitlines(), new.splitlines()
    assert len(before) == len(after_)
    (number,) = (number for number, lines in enumerate(zip(before, after_, strict=True)) if lines[0] != lines[1])
    assert after_[number] == before[number].replace("replicas: 1", "replicas: 7")


@given(written(), st.data())
def test_any_removal_leaves_the_other_models_as_they_were(made: tuple[str, list[str]], data: st.DataObject) -> None:
    text, names = made
    name = data.draw(st.sampled_from(names))
    new = proposed(text, lambda found: entry_edit(found.snapshot(), "gpu1", "fleet_models", name, None, "x"))
    wanted = read(text)
    models = wanted["fleet"]["vars"]["fleet_models"]
    models[:] = [one for one in models if one["name"] != name]
    assert read(new) == wanted
    kept = iter(text.splitlines())
    assert all(any(line == one for one in kept) for line in new.splitlines() if "fleet_models" not in line)

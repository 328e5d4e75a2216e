"""What a person entered reaches a playbook as one value, whatever it is."""

from __future__ import annotations

import shlex

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from fleet_page.command import extra_variables, limited, typed
from hypothesis import example, given
from hypothesis import strategies as st


def arrives(options: dict[str, str]) -> dict[str, str]:
    """As Ansible reads `-e`, and makes templates of it."""
    if not options:
        return {}
    (option, words) = shlex.split(shlex.join(extra_variables(options)))
    assert option == "-e" and words.startswith("{")
    loader = DataLoader()
    # ansible.utils.vars.load_extra_vars does this with what begins with a brace.
    data = loader.load(trust_as_template(words))
    return dict(Templar(loader=loader, variables=data).template(data))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), TEXTS, max_size=3))
@example({"grep": "a b 'c' \"d\" -e x=y --limit all"})
@example({"grep": "{{ lookup('pipe', 'id') }}{% raw %}{# x #}"})
@example({"grep": "a\nfleet_break_lock=true\r\n"})
@example({"grep": "-e"})
@example({"grep": "@/etc/passwd"})
@example({"grep": '"}, {"x": "y'})
@example({"grep": "!unsafe !vault | \\ \x00 \x07 \x7f \x85 \u2028 \ufeff \U0001f600"})
@example({"grep": "true"})
@example({"grep": "1"})
@example({"grep": "null"})
@example({"grep": '{"__ansible_vault": "x"}'})
def test_each_text_arrives_as_one_value(options: dict[str, str]) -> None:
    assert arrives(options) == options


def test_half_a_character_is_a_question_mark() -> None:
    assert arrives({"grep": "a\ud800"}) == {"grep": "a?"}


@pytest.mark.parametrize("hosts", ["gpu1", "gpu1,gpu2", "-x", "user@host", ""])
def test_hosts_are_one_argument(hosts: str) -> None:
    assert limited(hosts) == ([f"--limit={hosts}"] if hosts else [])


@pytest.mark.parametrize("hosts", ["@x", "a,@x", "a, @x", "a:@x", "\t@x"])
def test_no_host_is_a_file(hosts: str) -> None:
    with pytest.raises(FleetError):
        limited(hosts)


def test_a_command_is_shown_as_a_person_would_type_it() -> None:
    shown = typed("logs", {"grep": "a b", "model": "qwen3-8b"}, "gpu1", True)
    assert shown == "ansible-playbook inference.fleet.logs -e 'grep=a b' -e model=qwen3-8b --limit gpu1 --check --diff"

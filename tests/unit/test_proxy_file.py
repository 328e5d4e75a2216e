"""The file by which systemd gives Docker the proxy, as the role writes it and as host_check expects it."""

from __future__ import annotations

from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.tests.unit.samples import fleet

TEMPLATE = Path(__file__).resolve().parents[2] / "roles/fleet/templates/proxy.env.j2"


def test_the_role_writes_what_the_check_expects() -> None:
    behind = fleet(proxy={"url": "http://me:hunter22@proxy.example:3128", "no_proxy": ["corp.example", "10.0.0.0/8"]})
    variables = {"fleet": behind.public(), "state": behind.desired_state()}
    source = TEMPLATE.read_text().replace("lookup('inference.fleet.desired_state')", "state")
    text = Templar(DataLoader(), variables).template(trust_as_template(source), overrides={"trim_blocks": True})
    assert behind.proxy
    assert text == behind.proxy.environment_file

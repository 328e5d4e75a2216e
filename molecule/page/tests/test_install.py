"""The page is installed again, and nothing changes."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
KIT = "/opt/inference-fleet"
PLAYBOOK = f"{KIT}/venv/bin/ansible-playbook --inventory /srv/inventory/hosts.yml inference.fleet.page"


def test_a_second_run_of_the_playbook_changes_nothing(host: Host) -> None:
    before = host.service("inference-fleet-page").systemd_properties["MainPID"]
    ended = host.check_output(f"ANSIBLE_COLLECTIONS_PATH={KIT}/collections {PLAYBOOK}")
    assert " changed=0 " in ended
    assert host.service("inference-fleet-page").systemd_properties["MainPID"] == before

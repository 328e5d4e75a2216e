"""Who may do what, and two people at once."""

from __future__ import annotations

import pytest
import requests
import yaml
from lab.browser import SECONDS, Tunnels, View, Viewer
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
INVENTORY = "/srv/inventory/group_vars/fleet.yml"
GIT = "git -C /srv/inventory -c user.name=lab -c user.email=lab@desk"


def test_the_person_is_the_user_who_opened_the_tunnel(view: View) -> None:
    view("alice").open().see("who", "alice")
    bob = view("bob").open()
    bob.see("who", "bob (may only look)")


def test_other_users_of_the_machine_are_refused(view: View) -> None:
    mallory = view("mallory")
    answer = mallory.page.goto(mallory.url)
    assert answer and answer.status == 403
    assert "you are mallory on this machine; the setting page_users" in answer.text()


def test_who_may_only_look_changes_nothing(view: View, host: Host) -> None:
    before = host.file(INVENTORY).content_string
    bob = view("bob").open("Models")
    bob.pick("models", "bge-m3")
    bob.click("model-stop")
    bob.told("bob may only look")
    bob.click("model-add")
    bob.fill("model-name", "mine")
    bob.choose("model-type", "stt")
    bob.fill("model-source", "example/mine")
    bob.click("model-review")
    bob.told("bob may only look")
    bob.tab("Keys")
    bob.pick("keys", "chatbot")
    bob.click("key-show")
    bob.told("bob may only look")
    bob.tab("GPUs and MIG")
    bob.click("mig-review")
    bob.told("bob may only look")
    bob.tab("Runs")
    bob.start("install")
    bob.click("run-go")
    bob.told("bob may only look")
    assert host.file(INVENTORY).content_string == before
    assert "bob" not in host.check_output("journalctl --unit inference-fleet-page --output cat --grep 'run 2' || true")


def replicas(viewer: Viewer, count: int) -> None:
    viewer.pick("models", "bge-m3")
    viewer.see("model-about", "bge-m3")
    viewer.click("model-edit")
    viewer.fill("model-replicas", str(count))
    viewer.click("model-review")
    viewer.see("model-change", "change bge-m3 on desk")


def test_the_second_of_two_people_is_told_what_changed_and_overwrites_nothing(view: View, host: Host) -> None:
    alice, carol = view("alice").open("Models"), view("carol").open("Models")
    replicas(alice, 2)
    replicas(carol, 3)
    alice.click("model-save")
    alice.see("model-result", "committed")
    carol.click("model-save")
    carol.told("changed on disk since you opened the form; nothing was written")
    models = yaml.safe_load(host.file(INVENTORY).content_string)["fleet_models"]
    assert [one["replicas"] for one in models if one["name"] == "bge-m3"] == [2]
    host.check_output(f"{GIT} revert --no-edit HEAD")


@pytest.mark.parametrize("header", [{"Host": "elsewhere.example"}, {"Origin": "http://elsewhere.example"}])
def test_a_request_under_another_name_is_refused(tunnels: Tunnels, header: dict[str, str]) -> None:
    answer = requests.get(tunnels.url("bob"), headers=header, timeout=SECONDS)
    assert answer.status_code == requests.codes.forbidden
    assert "elsewhere.example" in answer.text

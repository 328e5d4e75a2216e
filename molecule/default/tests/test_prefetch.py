"""Weights are there before a model starts, from a hub that is a stand-in; the client and vLLM are real."""

from __future__ import annotations

import base64
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab.fixtures import Admin, Door, Run, identities, inspect
from lab.hub_stand_in import Hub, serving
from testinfra.host import Host

testinfra_hosts = ["ansible://real"]
MB = 10**6
TOKEN = "hf_known_token"
SERVED = {"name": "served", "type": "stt", "source": "lab/tiny-chat", "devices": {"cpu": True}}
LARGE = {"name": "large", "type": "chat", "source": "lab/large", "devices": {"cpu": True}, "state": "stopped"}
PLANTED = {"above": "../../../../../../../root/planted", "option": "--local-dir=/root", "lines": "a\nb.json"}
CACHE = "/var/lib/docker/volumes/fleet-hf-cache/_data"


@dataclass
class Site:
    """An admin with this hub, and the host's own models besides those that a run is for."""

    hub: Hub
    url: str
    admin: Admin
    models: list[dict[str, Any]]

    def play(
        self, playbook: str, *models: dict[str, Any], more: tuple[str, ...] = (), token: str = TOKEN, url: str = ""
    ) -> Run:
        variables = {
            "fleet_cache": {"endpoint": url or self.url, "min_free_gb": 1},
            "fleet_models": [*self.models, *models],
            "fleet_hf_token": token,
        }
        return self.admin.play(playbook, "--limit", "real", *more, variables=variables)


@pytest.fixture(scope="module")
def site(host: Host, admin: Admin, door: Door, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("repositories")
    packed = base64.b64decode(host.check_output("tar -C /srv/models -cz tiny-chat | base64"))
    (folder / "lab").mkdir()
    subprocess.run(["tar", "-C", str(folder / "lab"), "-xz"], input=packed, check=True)
    for name in ("large", "gated", "huge", *PLANTED):
        _repository(folder / "lab" / name, 24 * MB if name == "large" else 1000)
    private = {"lab/tiny-chat", "lab/large"}  # the client has to come with the token
    planted = {f"lab/{name}": {path: b"planted"} for name, path in PLANTED.items()}
    hub = Hub(folder, TOKEN, gated={"lab/gated"}, private=private, claims={"huge.safetensors": 10**15}, planted=planted)
    machine = host.check_output("ip route show default").split()[2]
    with serving(hub, machine) as port:
        yield Site(hub, f"http://{machine}:{port}", admin, door.models)


def _repository(folder: Path, size: int) -> None:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = "huge.safetensors" if folder.name == "huge" else "model.safetensors"
    (folder / weights).write_bytes(random.Random(folder.name).randbytes(size))
    (folder / "pytorch_model.bin").write_bytes(b"the same in another format")


def test_downloads_before_anything_starts_and_tells_which_commit_it_is(site: Site, host: Host) -> None:
    host.check_output("docker network rm fleet-download")
    planned = site.play("prefetch", SERVED, more=("--check",))
    assert f"download lab/tiny-chat at {site.hub.commit('lab/tiny-chat')[:12]} (6 files, " in planned.output
    assert not host.file(f"{CACHE}/hub/models--lab--tiny-chat").exists
    assert host.run("docker network inspect fleet-download").failed
    before = identities(host)
    run = site.play("prefetch", SERVED, more=("-vvv", "--diff"))
    assert run.status == 0, run.output
    assert f"lab/tiny-chat main is {site.hub.commit('lab/tiny-chat')}, " in run.messages
    assert "real: lab/tiny-chat: 0 bytes of " in run.output, "progress is shown"
    assert TOKEN not in run.output
    assert identities(host) == before, "the container that downloads is gone, and no other was touched"
    assert not host.run("ls /run/inference-fleet/hf-token*").stdout
    assert '"com.docker.network.bridge.name": "flo-' in host.check_output("docker network inspect fleet-download")


def test_what_is_there_costs_no_question_to_the_hub(site: Site) -> None:
    site.hub.asked.clear()
    assert site.play("prefetch", SERVED, url="http://127.0.0.1:9").changed() == {"real": 0}
    assert site.hub.asked == []


def test_a_transfer_that_breaks_off_goes_on_where_it_was(site: Site, host: Host) -> None:
    site.hub.cut["model.safetensors"] = 15 * MB
    site.hub.sent.clear()
    run = site.play("prefetch", SERVED, LARGE)
    assert run.status == 0, run.output
    assert len(site.hub.ranges) == 1, "one transfer began in the middle"
    assert site.hub.sent["model.safetensors"] < 30 * MB
    assert site.hub.sent["pytorch_model.bin"] == 0, "vLLM reads safetensors where there are some"


@pytest.mark.extended
def test_a_download_that_failed_keeps_what_was_whole_for_the_next_run(site: Site, host: Host) -> None:
    _repository(site.hub.folder / "lab" / "half", 1000)
    (site.hub.folder / "lab" / "half" / "other.safetensors").write_bytes(bytes(MB))
    half = {**LARGE, "name": "half", "source": "lab/half"}
    site.hub.broken.add("other.safetensors")
    run = site.play("prefetch", half)
    assert run.status != 0
    assert "lab/half: the download failed with 1.0 MB missing: it ended with 1" in run.messages
    assert not host.file(f"{CACHE}/hub/models--lab--half/refs/main").exists, "no start takes it for whole"
    site.hub.broken.clear()
    site.hub.sent.clear()
    again = site.play("prefetch", half)
    assert again.status == 0, again.output
    assert dict(site.hub.sent) == {"other.safetensors": MB}


def test_each_repository_that_cannot_be_had_is_told_and_the_others_are_downloaded(site: Site, host: Host) -> None:
    models = [
        {**LARGE, "name": "gated", "source": "lab/gated"},
        {**LARGE, "name": "missing", "source": "lab/missing"},
        {**LARGE, "name": "old", "source": "lab/large", "args": {"revision": "v1"}},
        {**LARGE, "name": "huge", "source": "lab/huge"},
        *({**LARGE, "name": name, "source": f"lab/{name}"} for name in PLANTED),
    ]
    run = site.play("prefetch", SERVED, *models)
    assert run.status != 0
    assert (
        f"lab/gated: is gated, and the token's account has no access; ask for access at {site.url}/lab/gated"
        in run.messages
    )
    assert f"lab/missing: {site.url} has no such repository, or the token may not see it" in run.messages
    assert "lab/large: has no revision 'v1'" in run.messages
    for name in PLANTED:
        assert f"lab/{name}: {site.url} reports a file " in run.messages
        assert not host.file(f"{CACHE}/hub/models--lab--{name}").exists
    assert not host.file("/root/planted").exists
    assert "lab/huge: 1000000.0 GB are to be downloaded, and " in run.messages
    wrong = site.play("prefetch", models[1], token="hf_wrong")
    assert f"lab/missing: {site.url} does not know the token in fleet_hf_token" in wrong.messages
    assert "hf_wrong" not in wrong.output


@pytest.mark.extended
def test_a_model_that_lacks_its_weights_keeps_no_other_from_serving(site: Site, host: Host, door: Door) -> None:
    before = identities(host)
    lacking = {**SERVED, "name": "lacking", "source": "lab/missing"}
    run = site.play("install", lacking, url="http://127.0.0.1:9")
    assert run.status != 0
    assert "lab/missing: http://127.0.0.1:9 cannot be reached from this host" in run.messages
    after = identities(host)
    assert "vllm-lacking-1" not in after
    assert {name: one for name, one in after.items() if name.startswith("vllm-")}.items() <= before.items()
    assert door.chat("tiny-chat").status_code == 200


@pytest.mark.extended
def test_vllm_starts_from_the_cache_without_a_hub(site: Site, host: Host, door: Door) -> None:
    tiny = next(model for model in door.models if model["name"] == "tiny-chat")
    env = {key: value for key, value in tiny["env"].items() if key != "HF_HUB_OFFLINE"}
    served = {**tiny, **SERVED, "type": "chat", "direct": True, "env": env}
    site.hub.asked.clear()
    try:
        run = site.play("add_model", served, more=("-e", "model=served"), url="http://127.0.0.1:9")
        assert run.status == 0, run.output
        body = {"model": "served", "max_tokens": 4, "messages": [{"role": "user", "content": "Say something."}]}
        assert door.request("POST", "/models/served/v1/chat/completions", json=body).status_code == 200
        environment = inspect(host, "vllm-served-1")["vllm-served-1"]["Config"]["Env"]
        assert "HF_HUB_OFFLINE=1" in environment
        assert not [one for one in environment if TOKEN in one]
        assert site.hub.asked == []
    finally:
        site.play("remove_model", served, more=("-e", "model=served"))


def test_what_a_container_leaves_in_the_cache_harms_nothing_of_the_host(site: Site, host: Host) -> None:
    commit, hub = site.hub.commit("lab/large"), f"{CACHE}/hub"
    snapshot = f"{hub}/models--lab--large/snapshots/{commit}"
    host.check_output("mkdir -p /root/own && echo kept > /root/own/shadow")
    host.check_output(f"rm -r {hub}/models--lab--large/refs && ln -s /root/own {hub}/models--lab--large/refs")
    host.check_output(f"ln -sf /root/own/shadow {snapshot}/config.json && mkfifo {snapshot}/pipe")
    host.check_output(f"mkdir {hub}/models--lab--planted && ln -s /root/own {hub}/models--lab--planted/snapshots")
    run = site.play("prefetch", SERVED, LARGE)
    assert run.status == 0, run.output
    assert host.check_output(f"cat {hub}/models--lab--large/refs/main {snapshot}/config.json") == f"{commit}{{}}"
    run = site.play("prune_cache", SERVED, LARGE, more=("-e", "prune_cache_confirm=yes"))
    assert "remove lab/planted (0 bytes)" in run.messages
    assert host.check_output("cat /root/own/shadow; ls /root/own; rm -r /root/own") == "kept\nshadow"


def test_what_no_model_uses_is_removed_when_that_was_confirmed(site: Site, host: Host) -> None:
    asked = site.play("prune_cache", SERVED)
    assert "remove lab/large (24.0 MB)" in asked.messages
    assert asked.changed() == {"real": 0}, "nobody said yes"
    run = site.play("prune_cache", SERVED, more=("-e", "prune_cache_confirm=yes"))
    assert run.changed() == {"real": 1}, run.output
    assert host.check_output(f"ls {CACHE}/hub | grep models--") == "models--lab--tiny-chat"

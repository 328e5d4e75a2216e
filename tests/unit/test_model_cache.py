"""inference.fleet.model_cache: the whole module, on a folder, a fake Docker and a fake hub."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.action.model_cache import ActionModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import Download, Remote
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Spec
from ansible_collections.inference.fleet.plugins.module_utils.engine.hub import Unreachable
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import Route
from ansible_collections.inference.fleet.plugins.modules import model_cache
from ansible_collections.inference.fleet.tests.unit.engine.test_downloads import put
from ansible_collections.inference.fleet.tests.unit.running import FleetModule
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

Run = Callable[..., dict[str, Any]]
COMMIT = "c" * 40
A = entry(name="a", source="own/a")
TOKEN = "hf_0123456789"


class World:
    """asked: requests to the hub. fails: repository -> reason, of the hub or the download. images: those used."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.fails: dict[str, FleetError] = {}
        self.images: list[str] = []
        self.networks: list[str | None] = []
        self.compiled = root.parent / "volumes"

    def revision(self, repo: str, revision: str) -> Remote:
        self.asked.append(f"{repo} {revision}")
        if repo in self.fails:
            raise self.fails[repo]
        return Remote(COMMIT, {"config.json": 2, "model.safetensors": 1000})

    def provide_network(self, of: Fleet) -> str:
        if "network" in self.fails:
            raise self.fails["network"]
        self.networks.append(of.network.subnet)
        return "fleet-download"

    def fetch(self, download: Download, spec: Spec, _docker: Any, folder: CacheFolder, say: Any) -> None:
        if f"download {download.wanted.repo}" in self.fails:
            raise self.fails[f"download {download.wanted.repo}"]
        self.images.append(spec.image)
        for path, size in download.missing.items():
            put(self.root, path, size, download.commit, download.wanted.repo.replace("/", "--").join(["models--", ""]))
        folder.record(download)
        say("done")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "cache")


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """With these models; the cache is the world's."""

    class FakeDocker:
        def folder_of(self, source: str) -> str:
            return source

        def unused_compiled(self) -> dict[str, str]:
            return {one.name: str(one) for one in sorted(world.compiled.glob("*"))}

        def remove_compiled(self, name: str) -> None:
            (world.compiled / name / "code").unlink()
            (world.compiled / name).rmdir()

    monkeypatch.setattr(model_cache, "DockerVolumes", FakeDocker)
    monkeypatch.setattr(model_cache, "Hub", lambda _endpoint, _token, _proxy: world)
    monkeypatch.setattr(model_cache, "fetch", world.fetch)
    monkeypatch.setattr(model_cache, "provide_network", world.provide_network)
    monkeypatch.setattr(model_cache, "routes", lambda: ())
    module = FleetModule(model_cache.main, "model_cache", capsys)

    def run(*models: dict[str, Any], cache: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """As the action plugin calls it. others: `fleet_models` of another host."""
        hosts = {"gpu1": {"fleet_models": []}, "gpu2": {"fleet_models": options.pop("others", [])}}
        on_controller = {"groups": {"fleet": list(hosts)}, "hostvars": hosts}
        try:
            options.update(ActionModule(*[None] * 6).more(fleet(), options, on_controller))
        except FleetError as error:
            return {"msg": str(error)}
        return module(models=list(models), cache={"path": str(world.root), **(cache or {})}, **options)

    return run


def test_downloads_what_is_missing_and_then_asks_nobody(run: Run, world: World) -> None:
    first = run(A)
    assert (first["changed"], first["bytes"], first["held"]) == (True, 1002, [])
    assert first["actions"] == ["download own/a at cccccccccccc (2 files, 1.0 kB)"]
    assert first["lines"] == [f"own/a main is {COMMIT}, 1.0 kB (a)"]
    world.asked.clear()
    second = run(A)
    assert (second["changed"], second["actions"], world.asked) == (False, [], [])
    assert second["revisions"] == first["revisions"]
    assert run(A, update=True)["changed"] is False
    assert world.asked == ["own/a main"]


def test_check_mode_says_the_same_and_does_nothing(run: Run, world: World) -> None:
    planned = run(A, check=True)
    assert planned["actions"] == ["download own/a at cccccccccccc (2 files, 1.0 kB)"]
    assert planned["lines"] == ["own/a main is not in the cache (a)"]
    assert not world.root.exists()
    assert world.networks == []


def test_the_network_is_there_before_a_download_and_only_for_one(run: Run, world: World) -> None:
    run(A, network={"subnet": "10.89.0.0/24"})
    run(A, network={"subnet": "10.89.0.0/24"})
    assert world.networks == ["10.89.0.0/24"]


def test_nothing_is_downloaded_without_the_network(run: Run, world: World) -> None:
    world.fails["network"] = FleetError("network fleet-download: no subnet is free")
    answer = run(A, entry(name="b", source="own/b"))
    assert (answer["msg"], answer["held"]) == ("network fleet-download: no subnet is free", ["a", "b"])
    assert (answer["changed"], world.images) == (False, [])


def test_a_host_with_ipv6_alone_needs_a_subnet_to_download(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "routes", lambda: (Route(ipaddress.ip_network("::/0"), "eth0", "fe80::1"),))
    answer = run(A)
    assert answer["msg"].startswith("fleet_network.ipv6: missing; expected an IPv6 subnet such as ")
    assert (answer["held"], world.networks) == (["a"], [])
    assert run(A, network={"ipv6": "fd4c:7e31:9a02::/64"})["changed"] is True


def test_downloads_with_the_image_of_the_model_or_the_one_that_is_named_for_that(run: Run, world: World) -> None:
    run(entry(name="a", source="own/a", image="own/vllm:1"))
    run(entry(name="b", source="own/b"), cache={"image": "own/client:1"})
    assert world.images == ["own/vllm:1", "own/client:1"]


def test_what_fails_holds_up_its_models_and_no_others(run: Run, world: World) -> None:
    world.fails = {"own/b": FleetError("own/b: is gated"), "download own/c": FleetError("own/c: broke off")}
    sources = {"a": "own/a", "b": "own/b", "b2": "own/b", "c": "own/c", "d": "/srv/d"}
    answer = run(*(entry(name=name, source=source) for name, source in sources.items()))
    assert answer["failed"]
    assert answer["msg"] == "own/b: is gated\nown/c: broke off"
    assert answer["held"] == ["b", "b2", "c"]
    assert answer["actions"] == ["download own/a at cccccccccccc (2 files, 1.0 kB)"]


def test_without_a_hub_what_is_there_is_taken_as_it_is(run: Run, world: World) -> None:
    world.fails["own/a"] = Unreachable("own/a: the hub cannot be reached")
    assert run(A)["held"] == ["a"]
    put(world.root, "config.json", 2)
    (world.root / "hub/models--own--a/refs").mkdir()
    (world.root / "hub/models--own--a/refs/main").write_text(COMMIT)
    answer = run(A)
    assert (answer["changed"], answer["held"]) == (False, [])
    assert run(A, cache={"downloads": "never"})["held"] == []


def test_where_nobody_downloads_what_is_missing_is_reported(run: Run, world: World) -> None:
    answer = run(A, cache={"downloads": "never"})
    assert answer["msg"].startswith("own/a: is not in the cache, and fleet_cache.downloads is never; copy it to ")
    assert world.asked == []


def test_where_vllm_downloads_by_itself_nothing_is_done(run: Run, world: World) -> None:
    answer = run(A, cache={"downloads": "at_start"})
    assert (answer["changed"], answer["held"], world.asked) == (False, [], [])


def test_stopped_models_count_when_that_is_asked_for(run: Run) -> None:
    stopped = {**A, "state": "stopped"}
    assert run(stopped)["changed"] is False
    assert run(stopped, stopped=True)["changed"] is True


def test_removes_what_no_model_uses_and_says_so_before(run: Run, world: World) -> None:
    run(A, entry(name="b", source="own/b"))
    planned = run({**A, "state": "stopped"}, prune=True, check=True)
    assert (planned["actions"], planned["bytes"]) == (["remove own/b (1.0 kB)"], 1002)
    assert planned["diff"] == {"before": "own/b (1.0 kB)\n", "after": ""}
    assert run({**A, "state": "stopped"}, prune=True)["changed"] is True
    assert run({**A, "state": "stopped"}, prune=True)["actions"] == []
    assert CacheFolder(str(world.root)).observe().keys() == {"own/a"}


def test_removes_the_compiled_code_of_no_container_and_shows_its_size_before(run: Run, world: World) -> None:
    folder = world.compiled / "fleet-compiled-vllm-a-1-0123456789ab"
    folder.mkdir(parents=True)
    (folder / "code").write_bytes(b"0" * 1500)
    planned = run(prune=True, check=True)
    assert (planned["actions"], planned["bytes"]) == ([f"remove volume {folder.name} (1.5 kB)"], 1500)
    assert folder.exists()
    assert run(prune=True)["actions"] == planned["actions"]
    assert not folder.exists()


def test_keeps_what_models_of_other_hosts_use_unless_they_are_absent(run: Run, world: World) -> None:
    run(*(entry(name=name, source=f"own/{name}") for name in "abcd"))
    others = [
        A,
        entry(name="a", source="own/b"),
        entry(name="c", source="own/c", state="stopped"),
        entry(name="d", source="own/d", state="absent"),
    ]
    assert run(A, prune=True, others=others)["actions"] == ["remove own/d (1.0 kB)"]
    assert CacheFolder(str(world.root)).observe().keys() == {"own/a", "own/b", "own/c"}


def test_removes_nothing_where_a_model_of_another_host_cannot_be_read(run: Run, world: World) -> None:
    run(A)
    answer = run(prune=True, others=[entry(name="b", type="llm")])
    assert answer["msg"].startswith("others.b.type: expected one of chat, ")
    assert CacheFolder(str(world.root)).observe().keys() == {"own/a"}


def test_the_token_is_in_nothing_that_is_returned(run: Run) -> None:
    assert TOKEN not in str(run(A, hf_token=TOKEN))


def test_an_inventory_with_faults_stops_before_anything_is_asked(run: Run, world: World) -> None:
    assert run(A, cache={"downloads": "later"})["msg"].startswith("fleet_cache.downloads: expected one of before_start")
    assert world.asked == []

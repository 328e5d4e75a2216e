"""The builder's decisions: what an image is made from, and which images have to be built."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

IMAGES = Path(__file__).resolve().parents[2] / "lab" / "images"
sys.path.insert(0, str(IMAGES))

import catalogue  # noqa: E402
import materials  # noqa: E402

HASHES = {image.name: f"hash of {image.name}" for image in catalogue.CATALOGUE}
OF_THE_MACHINE = {image.name for image in catalogue.CATALOGUE if not image.release}
TARGETS = """\
http://mirror/ubuntu|noble|main
http://mirror/ubuntu|noble|universe
http://mirror/ubuntu|noble|multiverse
http://mirror/ubuntu|noble-updates|main
http://mirror/ubuntu|noble-backports|main
http://security/ubuntu|noble-security|main
http://elsewhere/node|nodistro|main
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "start.sh").write_text("exec true\n")
    return tmp_path


def planned(existing: dict[str, str], folders: dict[str, str] | None = None) -> dict[str, catalogue.Step]:
    steps = catalogue.plan(catalogue.CATALOGUE, folders or HASHES, existing, "bookworm")
    return {step.image.name: step for step in steps}


def all_built(folders: dict[str, str] | None = None) -> dict[str, str]:
    return {step.tag: step.inputs for step in planned({}, folders).values()}


def needed(existing: dict[str, str], folders: dict[str, str] | None = None) -> set[str]:
    return {name for name, step in planned(existing, folders).items() if step.reason}


def test_folder_hash_is_the_same_for_the_same_content(folder: Path, tmp_path: Path) -> None:
    before = catalogue.folder_hash(folder)
    (folder / "Dockerfile").write_text("FROM base\n")
    assert catalogue.folder_hash(folder) == before


@pytest.mark.parametrize("change", ["content", "name", "executable", "new file", "moved text"])
def test_folder_hash_sees(folder: Path, change: str) -> None:
    before = catalogue.folder_hash(folder)
    script = folder / "sub" / "start.sh"
    if change == "content":
        script.write_text("exec false\n")
    elif change == "name":
        script.rename(folder / "sub" / "run.sh")
    elif change == "executable":
        script.chmod(0o755)
    elif change == "new file":
        (folder / "requirements.txt").write_text("")
    else:
        (folder / "Dockerfile").write_text("FROM base\nexec ")
        script.write_text("true\n")
    assert catalogue.folder_hash(folder) != before


def test_folder_hash_overlooks_byte_code_and_installed_modules(folder: Path) -> None:
    before = catalogue.folder_hash(folder)
    for name in ("__pycache__", "node_modules"):
        (folder / name).mkdir()
        (folder / name / "left").write_text("over")
    assert catalogue.folder_hash(folder) == before


def test_everything_is_built_on_a_fresh_machine() -> None:
    assert needed({}) == set(HASHES)


def test_nothing_is_built_when_all_is_up_to_date() -> None:
    assert needed(all_built()) == set()


def test_a_changed_folder_rebuilds_its_image_alone() -> None:
    assert needed(all_built(), {**HASHES, "caddy": "another"}) == {"caddy"}


def test_a_changed_base_rebuilds_every_image_of_its_release() -> None:
    assert needed(all_built(), {**HASHES, "base": "another"}) == OF_THE_MACHINE
    assert needed(all_built(), {**HASHES, "base-trixie": "another"}) == {
        "base-trixie",
        "lab-host-trixie",
        "lab-host-sid",
    }


def test_an_image_somebody_else_tagged_is_rebuilt() -> None:
    steps = planned({**all_built(), "inference-fleet/caddy:2.11.7": ""})
    assert steps["caddy"].reason == "its inputs changed"


def test_a_missing_base_leaves_its_children_that_are_up_to_date() -> None:
    existing = all_built()
    del existing["inference-fleet/base:bookworm"]
    assert needed(existing) == {"base"}


def test_a_new_version_is_another_input() -> None:
    assert catalogue.inputs_hash("a:1", "f", "p") != catalogue.inputs_hash("a:2", "f", "p")


def test_a_named_image_brings_its_parent_first() -> None:
    assert [image.name for image in catalogue.select(["caddy"])] == ["base", "caddy"]


def test_no_name_means_every_image_of_the_machines_own_release() -> None:
    assert {image.name for image in catalogue.select([])} == OF_THE_MACHINE - {"vllm-cpu-compiler"}
    assert {"base", "lab-host", "vllm-cpu"} <= OF_THE_MACHINE


def test_an_image_of_another_release_brings_the_base_of_that_release() -> None:
    assert [image.name for image in catalogue.select(["lab-host-trixie"])] == ["base-trixie", "lab-host-trixie"]


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(catalogue.UnknownImage, match=r"'cady' is not an image; there are base, "):
        catalogue.select(["cady"])


def test_images_of_the_release_itself_are_tagged_by_it() -> None:
    tags = {image.name: image.tag("noble") for image in catalogue.CATALOGUE}
    assert tags["base"] == "inference-fleet/base:noble"
    assert tags["lab-host"] == "inference-fleet/lab-host:noble"
    assert tags["postgres"] == "inference-fleet/postgres:15"


def test_images_of_another_release_are_tagged_by_that_release() -> None:
    tags = {image.name: image.tag("bookworm") for image in catalogue.CATALOGUE}
    assert tags["base-trixie"] == "inference-fleet/base:trixie"
    assert tags["lab-host-trixie"] == "inference-fleet/lab-host:trixie"


def test_no_two_images_have_the_same_tag() -> None:
    assert len({image.tag("bookworm") for image in catalogue.CATALOGUE}) == len(catalogue.CATALOGUE)


def test_an_image_is_of_the_same_release_as_its_parent() -> None:
    releases = {image.name: image.release for image in catalogue.CATALOGUE}
    assert all(image.release == releases[image.parent] for image in catalogue.CATALOGUE if image.parent)


def test_every_image_has_its_folder() -> None:
    for image in catalogue.CATALOGUE:
        assert (IMAGES / image.folder).is_dir()


class Commands:
    """Stands in for materials.run and keeps the commands."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def __call__(self, command: Sequence[str], say: materials.Say, cwd: Path | None = None) -> None:
        self.seen.append(list(command))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    commands = Commands()
    monkeypatch.setattr(materials, "run", commands)
    monkeypatch.setattr(materials, "_pip", lambda _say: ["pip"])
    monkeypatch.setattr(materials, "_python_version", lambda: "3.11")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return commands


def wheels(image: catalogue.Image, folder: Path) -> Path:
    (folder / "requirements.txt").write_text("cffi==2.1.1\n")
    fetched = materials.wheels(image, folder, print)
    assert fetched
    return fetched


def test_wheels_are_built_for_the_machines_own_python(commands: Commands, folder: Path) -> None:
    assert wheels(catalogue.Image("lab-host", "1"), folder).name.startswith("py3.11-")
    assert commands.seen[0][:2] == ["pip", "wheel"]


def test_wheels_are_downloaded_for_another_python(commands: Commands, folder: Path) -> None:
    assert wheels(catalogue.Image("lab-host-trixie", "1", python="3.13"), folder).name.startswith("py3.13-")
    assert commands.seen[0][:4] == ["pip", "download", "--only-binary=:all:", "--python-version=3.13"]
    assert "--no-deps" in commands.seen[0]


def test_two_images_of_one_folder_keep_their_wheels_apart(commands: Commands, folder: Path) -> None:
    own = wheels(catalogue.Image("lab-host", "1"), folder)
    other = wheels(catalogue.Image("lab-host-trixie", "1", folder="lab-host", python="3.13"), folder)
    assert own.is_dir() and other.is_dir() and own.parent != other.parent


def test_apt_sources_are_the_release_its_updates_and_security() -> None:
    assert [str(source) for source in catalogue.apt_sources(TARGETS, "noble")] == [
        "deb http://mirror/ubuntu noble main universe",
        "deb http://mirror/ubuntu noble-updates main",
        "deb http://security/ubuntu noble-security main",
    ]


def test_apt_without_the_releases_own_main_is_refused() -> None:
    with pytest.raises(ValueError, match="no source for noble main"):
        catalogue.apt_sources("http://mirror/ubuntu|noble-updates|main\n", "noble")


DEBIAN_TARGETS = """\
http://mirror/debian|bookworm|main
http://mirror/debian|bookworm-updates|main
http://mirror/debian-security|bookworm-security|main
"""


def another(targets: str, release: str, other: str) -> list[str]:
    own = catalogue.apt_sources(targets, release)
    return [str(source) for source in catalogue.sources_of_another(own, release, other)]


def test_sources_of_another_release_are_at_the_machines_own_sites() -> None:
    assert another(DEBIAN_TARGETS, "bookworm", "trixie") == [
        "deb http://mirror/debian trixie main",
        "deb http://mirror/debian trixie-updates main",
        "deb http://mirror/debian-security trixie-security main",
    ]


def test_a_machine_without_debian_cannot_make_an_image_of_debian() -> None:
    with pytest.raises(ValueError, match=r"an image of trixie needs a machine with Debian .*; this machine has noble"):
        another(TARGETS, "noble", "trixie")


def test_release_is_the_code_name() -> None:
    assert catalogue.release_of("ID=debian\nVERSION_CODENAME=bookworm\n") == "bookworm"
    with pytest.raises(ValueError, match="VERSION_CODENAME"):
        catalogue.release_of("ID=arch\n")

"""docs/security.md names every download that runs as root: a new one needs a row, with what vouches for it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Modules of Ansible and calls of Python that fetch something, or have a program fetch it.
TASKS = re.compile(
    r"ansible\.builtin\.(apt|dnf|package|pip|get_url|git|unarchive|rpm_key|apt_key|(deb822|yum)_repository):"
    r"|ansible\.builtin\.uri:\n\s+url: (?!https?://127\.0\.0\.1/)|apt-helper|docker_image_pull:|docker_image:|rpm_key:"
)
CODE = re.compile(r'\.pull\(|"-m", "pip"|"hf", "download"|_api\.build\(|urlopen\(|urlretrieve\(|open_url\(|fetch_url\(')


def section() -> str:
    return (ROOT / "docs/security.md").read_text().partition("## Downloads that run as root\n")[2].partition("\n## ")[0]


def downloading() -> set[str]:
    tasks = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/**/*.yml")]
    found = [file for file in tasks if TASKS.search(file.read_text())]
    found += [file for file in (ROOT / "plugins").rglob("*.py") if CODE.search(file.read_text())]
    return {str(file.relative_to(ROOT)) for file in found}


def test_every_file_that_downloads_is_in_the_table() -> None:
    assert {file for file in downloading() if f"`{file}`" not in section()} == set()


def test_the_table_names_files_that_exist() -> None:
    named = re.findall(r"`((?:roles|plugins|tests)/[\w/]+\.\w+)`", section())
    assert [file for file in named if not (ROOT / file).is_file()] == []
    assert len(named) > 10


def test_the_table_has_the_fingerprints_of_the_code() -> None:
    files = ("roles/fleet/tasks/redhat.yml", "plugins/module_utils/inventory/fleet.py")
    code = "".join((ROOT / file).read_text() for file in files)
    pinned = set(re.findall(r"\b[0-9A-F]{40}\b", code))
    named = {re.sub(" ", "", one) for one in re.findall(r"`((?:[0-9A-F]{4} +){9}[0-9A-F]{4})`", section())}
    assert pinned == named
    assert len(pinned) == 2


def test_no_repository_is_added_with_a_key_from_the_network() -> None:
    """dnf and apt accept any key that the URL serves."""
    for file in ROOT.glob("roles/*/tasks/*.yml"):
        for line in re.findall(r"(?:gpgkey|signed_by): (.*)", file.read_text()):
            assert "file://" in line or "__fleet_pinned_key" in line, f"{file}: {line}"

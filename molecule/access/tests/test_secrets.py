"""Every secret of a lab run is looked for everywhere: it is found where it belongs, and nowhere else."""

from __future__ import annotations

import json
import secrets as random_secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from lab.fixtures import SECRETS, Admin, Door, inspect, wait_until
from testinfra.host import Host

HF_TOKEN = "hf_not-a-token-of-anybody"
# Others each time, so that there is always something to do.
ONCE = random_secrets.token_hex(8)
GIVEN = {"master_key": f"sk-master-of-the-inventory-{ONCE}", "postgres_password": f"{ONCE}p'a\"s\\s/w:o@r?d%20#$1&{{}}"}
# Where a secret may be in a file, all of them root's alone. Docker itself keeps containers' environments.
PLACES = (
    f"{SECRETS}/",
    "/etc/inference-fleet/caddy/keys/",
    "/etc/inference-fleet/config.json",
    "/var/lib/docker/containers/",
    "/run/containerd/",
)
# Which container may have which secrets in its environment.
ENVIRONMENTS = {"litellm": {"master_key", "salt_key", "postgres_password"}, "vllm": {"hf_token"}}
SEARCHED = "/etc /home /opt /root /run /srv /tmp /usr/local /var/lib/docker/volumes /var/log /var/tmp"
# What Docker hands to runc for the moment of a health check: root's alone, with the container's environment.
PASSED_BY = "--exclude='runc-process*' --exclude-dir=containerd"
ENGINE = "/var/lib/docker/containers /run/containerd/io.containerd.runtime.v2.task"


@pytest.fixture
def secrets(host: Host) -> dict[str, str]:
    names = host.check_output(f"ls {SECRETS}").split()
    kept = {name: host.check_output(f"cat {SECRETS}/{name}").split()[-1] for name in names}
    assert {"master_key", "salt_key", "postgres_password", "open_key", "direct-awkward", "direct-made"} <= kept.keys()
    return {**kept, "hf_token": HF_TOKEN}


def found_in(text: str, secrets: Mapping[str, str]) -> set[str]:
    return {name for name, secret in secrets.items() if secret in text or json.dumps(secret)[1:-1] in text}


def test_files_with_a_secret_are_in_their_places_and_roots_alone(host: Host, secrets: dict[str, str]) -> None:
    host.check_output("umask 077; printf '%%s\\n' %s > /root/looked-for", "\n".join(secrets.values()))
    assert host.check_output("head -n 1 /root/looked-for; tail -n 1 /root/looked-for").split("\n") == [
        [*secrets.values()][end] for end in (0, -1)
    ]
    try:
        listing = host.run(f"grep -rlF -f /root/looked-for --exclude=looked-for {PASSED_BY} {SEARCHED} {ENGINE}")
    finally:
        host.check_output("rm /root/looked-for")
    files = listing.stdout.splitlines()
    assert any(file.startswith(SECRETS) for file in files)
    assert [file for file in files if not file.startswith(PLACES)] == []
    ours = [file for file in files if file.startswith("/etc/inference-fleet/")]
    assert set(host.check_output("stat --format '%a %U' " + " ".join(ours)).splitlines()) == {"600 root"}
    readable = [file for file in files if host.run(f"runuser --user nobody -- test -r {file}").rc == 0]
    assert readable == []


def test_no_file_has_the_url_of_the_database(host: Host) -> None:
    listing = host.run(f"grep -rlE {PASSED_BY} 'DATABASE_URL=|postgresql://litellm_[0-9a-f]' {SEARCHED}")
    assert listing.stdout == ""


def test_containers_have_secrets_in_their_environment_alone_and_only_their_own(
    host: Host, secrets: dict[str, str]
) -> None:
    for name, one in inspect(host).items():
        environment = one["Config"].pop("Env")
        assert found_in(json.dumps(one), secrets) == set(), name
        assert found_in("\n".join(environment), secrets) <= ENVIRONMENTS.get(name.partition("-")[0], set()), name


def test_logs_tell_none(host: Host, secrets: dict[str, str]) -> None:
    assert found_in(host.check_output("journalctl --no-pager --all"), secrets) == set()
    for name in inspect(host):
        assert found_in(host.check_output(f"docker logs {name} 2>&1"), secrets) == set(), name


@contextmanager
def command_lines(host: Host) -> Iterator[list[str]]:
    """Every command line that there is on the host meanwhile, sampled a hundred times a second."""
    seen: list[str] = []
    host.check_output(
        "rm -f /tmp/ended /tmp/written; printf %%s %s > /tmp/sampler.py; "
        "nohup python3 /tmp/sampler.py > /dev/null 2>&1 &",
        SAMPLER,
    )
    try:
        yield seen
    finally:
        host.check_output("touch /tmp/ended")
        wait_until(lambda: host.file("/tmp/written").exists, "the last sample is written")
        seen.append(
            host.check_output("cat /tmp/command-lines; rm /tmp/command-lines /tmp/ended /tmp/written /tmp/sampler.py")
        )


@pytest.mark.extended
def test_runs_show_none_and_put_none_into_a_command_line(
    admin: Admin, door: Door, host: Host, secrets: dict[str, str]
) -> None:
    """Whole runs with everything to do, at -vvv and with diffs: failing, then taking given secrets into use."""
    everything = {**secrets, **{f"given {name}": secret for name, secret in GIVEN.items()}}
    broken = {"fleet_images": {"litellm": "localhost:1/nothing:1", **IMAGES}, "fleet_secrets": GIVEN}
    with command_lines(host) as seen:
        failed = admin.play("install", "-vvv", "--diff", variables=broken)
        given = admin.play("install", "-vvv", "--diff", variables={"fleet_secrets": GIVEN})
        assert door.chat("pair", key=GIVEN["master_key"]).status_code == 200
    assert failed.status != 0
    assert "localhost:1/nothing:1" in failed.output
    assert given.status == 0, given.output
    for run in (failed, given):
        assert found_in(run.output, everything) == set()
    assert "caddy" in seen[0]
    assert found_in(seen[0], everything) == set()


SAMPLER = """
import glob, os, pathlib, time
seen = set()
while not os.path.exists("/tmp/ended"):
    for file in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            seen.add(open(file, "rb").read().replace(b"\\0", b" "))
        except OSError:
            pass
    time.sleep(0.01)
pathlib.Path("/tmp/command-lines").write_bytes(b"\\n".join(seen))
pathlib.Path("/tmp/written").touch()
"""

IMAGES = {
    "postgres": "inference-fleet/postgres:15",
    "caddy": "inference-fleet/caddy:2.11.7",
    "vllm": "inference-fleet/engine-stand-in:1",
    "vllm_omni": "inference-fleet/engine-stand-in:1",
}

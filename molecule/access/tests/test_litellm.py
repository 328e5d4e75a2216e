"""LiteLLM gets to its database whatever became of that meanwhile, and a failed migration ends it with a clear word."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.fixtures import Admin, Door, identities, inspect, requests_seen, wait_until
from lab.load import Load, Stream
from testinfra.host import Host

MIGRATION = "20261009000000_add_credential_display_name"  # can be applied twice


def psql(host: Host, *commands: str, database: str = "litellm") -> str:
    """As the superuser: over the container's socket, which asks for no password."""
    sql = "; ".join(commands)
    return host.check_output(
        f"docker exec -i postgres psql -U fleet_admin -d {database} -qAt -v ON_ERROR_STOP=1 <<'END'\n{sql};\nEND"
    )


@pytest.fixture
def refusing(host: Host) -> Iterator[None]:
    """PostgreSQL lets nobody into LiteLLM's database, until the test says otherwise."""
    psql(host, "ALTER DATABASE litellm ALLOW_CONNECTIONS false", database="postgres")
    yield
    psql(host, "ALTER DATABASE litellm ALLOW_CONNECTIONS true", database="postgres")


@pytest.fixture
def conflict(host: Host) -> Iterator[None]:
    """The last migration is to be applied once more, and an event trigger is against it."""
    psql(
        host,
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION $$refused by the tests$$; END'",
        "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION refuse()",
    )
    forgotten = psql(host, f"DELETE FROM _prisma_migrations WHERE migration_name = '{MIGRATION}' RETURNING 1")
    assert forgotten == "1"
    yield
    psql(host, "DROP EVENT TRIGGER IF EXISTS refuse", "DROP FUNCTION IF EXISTS refuse")


LOGIN = "SELECT rolname FROM pg_roles WHERE rolname ~ '^litellm_[0-9a-f]{8}$'"
# From LiteLLM's role as it is now to what hosts had before: initdb's superuser, as whom LiteLLM's login works.
AS_BEFORE = (
    "CREATE ROLE back SUPERUSER",
    "SET SESSION AUTHORIZATION back",
    "REASSIGN OWNED BY litellm TO fleet_admin",
    "ALTER ROLE litellm RENAME TO gone",
    "ALTER ROLE fleet_admin RENAME TO litellm",
    "DROP OWNED BY gone",
    "DROP ROLE gone",
    "RESET SESSION AUTHORIZATION",
    "DROP ROLE back",
)
SUPERUSERS = "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"
OWNERS = "SELECT string_agg(DISTINCT tableowner, ' ') FROM pg_tables WHERE schemaname = 'public'"
# As LiteLLM, over the network: what a superuser may do on the host's side, and how many of it worked.
ATTACKS = """
import os, psycopg
url = os.environ["DATABASE_URL"]
user = url.partition("//")[2].partition(":")[0]
as_admin, as_owner = (url.replace(user, other, 1) for other in ("fleet_admin", "litellm"))
opened = []
for where, sql in [
    (url, "COPY (SELECT 1) TO PROGRAM 'id'"), (url, "SELECT pg_read_file('/etc/passwd')"), (url, "CREATE DATABASE x"),
    (url, "CREATE ROLE x SUPERUSER"), (url, "ALTER SYSTEM SET log_statement = 'all'"), (url, "SET ROLE fleet_admin"),
    (url, "SELECT rolpassword FROM pg_authid"), (url, "SELECT lo_import('/etc/passwd')"),
    (as_admin, "SELECT 1"), (as_owner, "SELECT 1"),
]:
    try:
        with psycopg.connect(where, autocommit=True) as database:
            database.execute(sql)
        opened.append(sql)
    except psycopg.Error:
        pass
with psycopg.connect(url) as database:
    database.execute("SELECT 1")
print(opened)
"""


def is_connected(door: Door, key: str) -> bool:
    """A virtual key is looked up in the database."""
    return door.chat("pair", key=key).status_code == 200


@pytest.mark.extended
def test_requests_that_a_dead_litellm_had_are_sent_again_if_caddy_has_all_of_them(door: Door, host: Host) -> None:
    """Of a larger one, Caddy has the rest alone: it is answered with an error, at once."""
    known = len(requests_seen(host, "slow"))

    def chat(size: int) -> tuple[int, float]:
        messages = [{"role": "user", "content": "x" * size}]
        status = door.chat("slow", max_tokens=50, messages=messages).status_code
        return status, time.monotonic()

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(chat, size) for size in (100, 100_000, 5_000_000)]
        wait_until(lambda: len(requests_seen(host, "slow")) == known + 3, "the model has all requests")
        host.check_output("docker kill litellm")
        host.check_output("docker start litellm")
        small, medium, large = [one.result() for one in asked]
    assert (small[0], medium[0], large[0]) == (200, 200, 502)
    assert large[1] < min(small[1], medium[1]), "before LiteLLM runs again"


@pytest.mark.extended
def test_one_that_waits_for_its_database_is_left_to_wait_and_loses_no_request(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    """It is only slow: PostgreSQL was away when it started, and is back before it gave up."""
    chats = Stream("/v1", "/v1/chat/completions", "pair", virtual_key, 3)
    with Load(door.url, str(door.certificate), chats) as load:
        load.wait_for(3)
        host.check_output(
            "docker stop litellm && docker stop postgres && docker start litellm && docker start postgres"
        )
        before = identities(host)
        run = admin.play("install")
    print(load.summary())
    assert run.status == 0, run.output
    assert identities(host) == before
    assert load.failed() == []


@pytest.mark.extended
def test_one_that_dies_for_lack_of_its_database_is_started_anew(
    admin: Admin, door: Door, host: Host, virtual_key: str, refusing: None
) -> None:
    """LiteLLM's own image dies where PostgreSQL does not answer. Docker starts it with ever longer pauses between."""
    before = identities(host)
    host.check_output("docker restart litellm")
    with ThreadPoolExecutor() as pool:
        ending = pool.submit(admin.play, "install")
        wait_until(
            lambda: inspect(host, "litellm")["litellm"]["State"]["Status"] == "exited", "the run has stopped it", 300
        )
        psql(host, "ALTER DATABASE litellm ALLOW_CONNECTIONS true", database="postgres")
        run = ending.result()
    assert run.status == 0, run.output
    assert is_connected(door, virtual_key)
    after = identities(host)
    assert {name for name in before if after[name] != before[name]} == {"litellm"}


@pytest.mark.extended
def test_a_migration_that_fails_in_a_second_litellm_costs_nobody_the_first(
    admin: Admin, door: Door, host: Host, virtual_key: str, conflict: None
) -> None:
    before = identities(host)
    run = admin.play("install", variables={"fleet_litellm": {"workers": 2}})
    assert run.status != 0
    assert f"{MIGRATION}: refused by the tests" in run.messages
    assert "The previous LiteLLM of gate still serves all requests" in run.messages
    assert identities(host) == before
    psql(host, "DROP EVENT TRIGGER refuse")
    assert admin.play("install", variables={"fleet_litellm": {"workers": 2}}).status == 0
    assert_applied(admin, door, host, virtual_key)


@pytest.mark.extended
def test_a_migration_that_fails_in_the_only_litellm_stops_it_and_says_what_to_do(
    admin: Admin, door: Door, host: Host, virtual_key: str, conflict: None
) -> None:
    before = identities(host)
    host.check_output("docker stop litellm")
    run = admin.play("install", variables={"fleet_litellm": {"workers": 2}})
    assert run.status != 0
    for told in (
        "The migration of LiteLLM's database failed on gate",
        f"{MIGRATION}: refused by the tests",
        "go back to the previous image (fleet_images.litellm)",
    ):
        assert told in run.messages
    state = inspect(host, "litellm")["litellm"]["State"]
    assert (state["Running"], state["Restarting"]) == (False, False)
    assert {name: one for name, one in identities(host).items() if name != "litellm"} == {
        name: one for name, one in before.items() if name != "litellm"
    }
    psql(host, "DROP EVENT TRIGGER refuse")
    assert_applied(admin, door, host, virtual_key)


def assert_applied(admin: Admin, door: Door, host: Host, virtual_key: str) -> None:
    run = admin.play("install")
    assert run.status == 0, run.output
    assert psql(host, f"SELECT count(*) FROM _prisma_migrations WHERE migration_name = '{MIGRATION}'") == "1"
    assert is_connected(door, virtual_key)


def test_litellm_can_do_nothing_outside_its_database(host: Host) -> None:
    assert (psql(host, SUPERUSERS), psql(host, OWNERS)) == ("fleet_admin", "litellm")
    answer = host.check_output(f"docker exec -i litellm python3 - <<'END'\n{ATTACKS}\nEND")
    assert answer == "[]"


@pytest.mark.extended
def test_a_host_whose_litellm_was_a_superuser_is_moved_over_once_and_loses_no_request(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    host.check_output("docker stop litellm")
    psql(host, f"ALTER ROLE {psql(host, LOGIN)} SUPERUSER", *AS_BEFORE)
    host.check_output("docker start litellm")
    wait_until(lambda: is_connected(door, virtual_key), "LiteLLM answers as a superuser")
    assert "litellm" in host.check_output(f'docker exec postgres psql -U litellm -Atc "{SUPERUSERS}"').split()
    settings = {
        "fleet_litellm": {"restart_wait": 1, "spend_log_days": 30}
    }  # as a new version, it changes LiteLLM's file
    before = identities(host)
    with Load(door.url, str(door.certificate), Stream("/v1", "/v1/chat/completions", "pair", virtual_key, 3)) as load:
        load.wait_for(3)
        run = admin.play("install", variables=settings)
        load.wait_for(3)
    print(load.summary())
    assert run.status == 0, run.output
    assert load.failed() == []
    assert (psql(host, SUPERUSERS), psql(host, OWNERS)) == ("fleet_admin", "litellm")
    assert {name for name, one in identities(host).items() if before[name] != one} == {"litellm"}
    assert set(admin.play("install", variables=settings).changed().values()) == {0}
    assert admin.play("install").status == 0
    assert is_connected(door, virtual_key)

"""What Grafana's container gets, rendered as Ansible renders the task."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.tests.unit.authority import issue
from ansible_collections.inference.fleet.tests.unit.inventory.test_monitoring import OIDC
from ansible_collections.inference.fleet.tests.unit.monitoring.test_rules import ROOT
from ansible_collections.inference.fleet.tests.unit.samples import fleet

ROLE = ROOT / "roles/monitoring"
SECRET = "the-secret-of-the-client"
SALT = "sk-salt-salt-salt"


def trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(trusted, value))
    return trust_as_template(value) if isinstance(value, str) else value


def container(monitoring: Any, **more: Any) -> dict[str, Any]:
    """The options of the task. more: further variables of the inventory."""
    (task,) = [one for one in yaml.safe_load((ROLE / "tasks/grafana.yml").read_text()) if one["name"] == "Run Grafana"]
    parsed = fleet(monitoring=monitoring, **more)
    values = {name: value or SALT for name, value in parsed.given_secrets.items()}
    variables = {"fleet": parsed.public(), "__fleet_secrets": {"values": values}, **trusted(task["vars"])}
    templar = Templar(DataLoader(), variables)
    options = task["inference.fleet.service_container"]
    del options["labels"]["datasources"]  # a lookup, whose loader only a run has
    return {name: templar.template(trusted(options[name])) for name in ("env", "mounts", "labels")}


def test_serves_nothing_without_a_login() -> None:
    environment = container(True)["env"]
    assert {name: value for name, value in environment.items() if value == "false"}.keys() >= {
        "GF_METRICS_ENABLED",
        "GF_SNAPSHOTS_ENABLED",
        "GF_PUBLIC_DASHBOARDS_ENABLED",
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_USERS_ALLOW_SIGN_UP",
    }
    assert not [name for name in environment if "OAUTH" in name or name == "SSL_CERT_DIR"]
    assert all(isinstance(value, str) for value in environment.values())


def test_the_secret_of_the_sign_in_is_in_a_file_alone() -> None:
    given = container({"oidc": OIDC}, secrets={"oidc_client_secret": SECRET})
    file = "/run/secrets/oidc_client_secret"
    assert given["env"]["GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET__FILE"] == file
    assert given["env"]["GF_AUTH_GENERIC_OAUTH_CLIENT_ID"] == "grafana"
    (mount,) = [one for one in given["mounts"] if one["target"] == file]
    assert (mount["source"], mount["read_only"]) == ("/etc/inference-fleet/secrets/oidc_client_secret", True)
    assert SECRET not in str(given)


def test_a_public_client_has_no_secret() -> None:
    given = container({"oidc": OIDC})
    assert not [name for name in given["env"] if "SECRET" in name and "OAUTH" in name]
    assert len(given["mounts"]) == len(container(True)["mounts"])


def test_another_secret_or_authority_recreates_grafana_and_the_same_does_not() -> None:
    def label(secret: str = SECRET, **more: Any) -> str:
        return str(container({"oidc": OIDC}, secrets={"oidc_client_secret": secret}, **more)["labels"]["sign_in"])

    assert label() == label() != label("another-secret")
    assert label() != label(ca_bundle=issue("ca").cert)


def test_the_authorities_of_the_site_are_trusted_beside_the_public_ones() -> None:
    given = container({"oidc": OIDC}, ca_bundle=issue("ca").cert)
    assert given["env"]["SSL_CERT_DIR"] == "/etc/ssl/certs:/etc/grafana/provisioning/authorities"


@pytest.mark.parametrize("monitoring", [True, {"oidc": OIDC}])
def test_docker_gets_no_label_that_is_no_text(monitoring: Any) -> None:
    assert all(isinstance(value, str) for value in container(monitoring)["labels"].values())

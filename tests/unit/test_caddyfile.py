"""The rendered Caddyfile, which is independent of models and keys, and the page at the root."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import REPLICAS
from ansible_collections.inference.fleet.plugins.module_utils.gateway.caddy_files import caddy_files
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import TYPES
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

ROLE = Path(__file__).resolve().parents[2] / "roles/caddy"
CERT = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n"
NAMES = ["llm.example.com"]
ACME = {"mode": "acme", "email": "admin@example.com", "names": NAMES}
OWN_CA = {**ACME, "directory": "https://ca.internal:9000/acme/acme/directory"}
FILES = {"mode": "files", "cert": CERT, "key": KEY, "names": NAMES}
SECRETS = {
    "secrets": {"master_key": "sk-secret-1", "salt_key": "sk-secret-2", "postgres_password": "secret-3"},
    "direct_keys": [{"name": "app", "key": "sk-secret-4"}, {"name": "ci"}],
    "hf_token": "hf_secret-5",
}
SETTINGS = ("https", "caddy", "monitoring", "litellm_admin", "network", "networks", "engine_port", "ports")
SECRETIVE = entry(env={"HF_TOKEN": "hf_secret-6"}, open=True, direct=True)


def fact(*entries: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """The fact `fleet`."""
    return fleet(*entries, **{"https": {"names": NAMES}, **variables}).public()


def rendered(template: str, fact: dict[str, Any]) -> str:
    """Renders a template of the role as ansible.builtin.template does."""
    variables = {**yaml.safe_load((ROLE / "vars/main.yml").read_text()), "ansible_managed": "Ansible", "fleet": fact}
    templar = Templar(DataLoader(), variables).copy_with_new_env(searchpath=[str(ROLE / "templates")])
    source = trust_as_template((ROLE / "templates" / template).read_text())
    text: str = templar.template(source, escape_backslashes=False, overrides={"trim_blocks": True})
    return text


def caddyfile(*entries: dict[str, Any], **variables: Any) -> str:
    return rendered("Caddyfile.j2", fact(*entries, **variables))


def block(text: str, opening: str) -> list[str]:
    """The lines between `opening` and its closing brace, without common indentation."""
    found = re.search(rf"^(\t*){re.escape(opening)} \{{\n((?:.*\n)*?)\1\}}$", text, re.MULTILINE)
    assert found, f"there is no {opening}"
    return [line.removeprefix(found[1] + "\t") for line in found[2].splitlines()]


def steps(text: str, opening: str) -> list[str]:
    """As `block`; inside of the `route` of the block, if it has one, which keeps the order of its lines."""
    lines = block(text, opening)
    return [line.removeprefix("\t") for line in lines[1:-1]] if lines[0] == "route {" else lines


def site(text: str) -> list[str]:
    """The addresses of the one site that serves models."""
    (addresses,) = re.findall(r"^(https://.+) \{$", text.replace("\nhttps:// {\n", "\n"), re.MULTILINE)
    return str(addresses).split(", ")


# No change of the Caddyfile: a reload can lose requests


@pytest.mark.parametrize(
    ("entries", "variables"),
    [
        ([entry()], {}),
        ([entry(name=kind, type=kind) for kind in TYPES], {}),
        ([entry(open=True, direct=True, replicas=3)], {}),
        ([entry(state="stopped", open=True), entry(name="gone", state="absent", direct=True)], {}),
        ([SECRETIVE], {}),
        ([], SECRETS),
        ([], {"litellm": {"workers": 4}}),
        ([], {"images": {"caddy": "own/caddy:1"}}),
    ],
)
def test_no_model_and_no_key_changes_the_caddyfile(entries: list[dict[str, Any]], variables: dict[str, Any]) -> None:
    assert caddyfile(*entries, **variables) == caddyfile()


@pytest.mark.parametrize("https", [{"names": NAMES}, ACME, {**OWN_CA, "directory_root": CERT}, FILES])
@pytest.mark.parametrize("switch", [True, False])
def test_the_caddyfile_is_made_of_these_settings_alone(https: dict[str, Any], switch: bool) -> None:
    """Ansible refuses to render undefined variables."""
    whole = fact(SECRETIVE, https=https, monitoring=switch, litellm_admin=switch, **SECRETS)
    alone = {key: whole[key] for key in SETTINGS}
    assert rendered("Caddyfile.j2", alone) == rendered("Caddyfile.j2", whole)


def test_caddy_looks_up_the_files_that_are_written_and_all_of_them() -> None:
    text = caddyfile()
    looked_up = {*re.findall(r"file\./etc/caddy/keys/([\w-]+)", text), *re.findall(r"import listed ([\w-]+)", text)}
    assert looked_up == caddy_files({"master_key": "sk-1", "salt_key": "sk-2", "open_key": "sk-3"}, {}, []).keys()


def test_a_direct_route_goes_to_the_name_that_all_replicas_have() -> None:
    assert block(caddyfile(), "dynamic a")[0] == f"name {{re.model.1}}.{REPLICAS}"


# Changes of the Caddyfile


@pytest.mark.parametrize(
    ("names", "addresses"),
    [
        (["llm.example.com"], ["https://llm.example.com"]),
        (
            ["a.example.com", "10.0.0.7", "localhost"],
            ["https://a.example.com", "https://10.0.0.7", "https://localhost"],
        ),
        (["fd00::7", "::1"], ["https://[fd00::7]", "https://[::1]"]),
        (["llm.example.com", "fd00::7"], ["https://llm.example.com", "https://[fd00::7]"]),
    ],
)
def test_it_serves_the_names_with_brackets_around_ipv6_addresses(names: list[str], addresses: list[str]) -> None:
    text = caddyfile(https={"names": names})
    assert site(text) == addresses


@pytest.mark.parametrize(
    ("names", "presented"),
    [
        (["localhost", "127.0.0.1"], "127.0.0.1"),
        (["llm.example.com", "fd00::7", "10.0.0.7"], "fd00::7"),
        (["llm.example.com", "localhost"], "llm.example.com"),
    ],
)
def test_a_client_that_connects_by_address_gets_a_certificate_of_that_address(names: list[str], presented: str) -> None:
    assert f"\tdefault_sni {presented}\n" in caddyfile(https={"names": names})


@pytest.mark.parametrize(
    ("https", "tls"),
    [
        ({"names": NAMES}, "tls internal"),
        (ACME, "tls admin@example.com"),
        (FILES, "tls /etc/caddy/tls/{cert} /etc/caddy/tls/{key}"),
    ],
)
def test_each_mode_of_https_has_its_tls(https: dict[str, Any], tls: str) -> None:
    found = fact(https=https)
    assert tls.format(**found["https"]["files"]) in block(rendered("Caddyfile.j2", found), "https://llm.example.com")


@pytest.mark.parametrize("root", [{}, {"directory_root": CERT}])
def test_an_acme_server_of_ones_own_is_named_with_its_root_if_it_has_one(root: dict[str, str]) -> None:
    found = fact(https={**OWN_CA, **root})
    trusted = [f"trusted_roots /etc/caddy/tls/{file}" for file in found["https"]["files"].values()]
    assert len(trusted) == len(root)
    assert block(rendered("Caddyfile.j2", found), "issuer acme") == [
        "email admin@example.com",
        f"dir {OWN_CA['directory']}",
        *trusted,
    ]


def test_another_certificate_of_the_same_names_changes_it() -> None:
    """Otherwise Caddy would continue with the previous certificate."""
    assert caddyfile(https=FILES) != caddyfile(https={**FILES, "cert": CERT.replace("bGVhZg", "bGVhZh")})


@pytest.mark.parametrize("megabytes", [1, 512, 2000])
def test_it_takes_requests_as_large_as_was_asked_for(megabytes: int) -> None:
    text = caddyfile(caddy={"max_body_mb": megabytes}, litellm_admin=True)
    assert block(text, "request_body") == [f"max_size {megabytes}MB"]
    assert f"import at_most {megabytes}" in steps(text, "handle @direct")


@pytest.mark.parametrize("route", ["handle @api", "handle @open", "handle"])
def test_litellm_gets_no_request_larger_than_was_asked_for(route: str) -> None:
    assert "import at_most 7" in steps(caddyfile(caddy={"max_api_body_mb": 7}, litellm_admin=True), route)


@pytest.mark.parametrize("route", ["handle @api", "handle"])
def test_the_key_of_a_large_request_is_checked_before_its_body_is_read(route: str) -> None:
    text = caddyfile(caddy={"check_key_above_kb": 7}, litellm_admin=True)
    lines = steps(text, route)
    assert lines.index("import known_key") < lines.index("import to_litellm")
    assert "uri /fleet/key" in block(text, "forward_auth litellm:4000")
    assert "> 7168)" in block(text, "(known_key)")[0]


def test_no_client_can_send_the_password_of_caddy() -> None:
    """Before any handle, so on every path."""
    text = caddyfile(litellm_admin=True)
    assert block(text, "route")[0] == "request_header -Fleet-Gateway"
    assert text.count("header_up Fleet-Gateway {file./etc/caddy/keys/gateway}") == 1
    assert "header_up Fleet-Gateway" in "\n".join(block(text, "reverse_proxy @master litellm:4000"))


def test_no_connection_to_litellm_is_kept_open() -> None:
    """Otherwise a LiteLLM that is replaced has connections without a request."""
    text = caddyfile(monitoring=True)
    assert block(text, "(litellm)")[0] == "import upstream off 500ms"
    for lines in re.findall(r"litellm:4000 \{\n((?:.*\n)*?)\t+\}", text):
        assert "import litellm " in lines or "import upstream off 500ms" in lines


def test_grafana_has_a_path_where_there_is_monitoring() -> None:
    assert "grafana" not in caddyfile()
    assert "reverse_proxy grafana:3000 {" in block(caddyfile(monitoring=True), "handle /grafana/*")


def test_metrics_have_a_listener_of_their_own_where_there_is_monitoring() -> None:
    assert "metrics" not in caddyfile()
    lines = block(caddyfile(monitoring=True), "http://:9180")
    assert (lines[0], lines[2]) == ("bind caddy.fleet-monitoring", "handle /metrics {")


def test_a_server_that_is_replaced_goes_on_for_a_time_and_closes_each_connection() -> None:
    text = caddyfile(monitoring=True)
    assert "\tshutdown_delay 6s\n" in text
    sites = re.findall(r"(?m)^https?://.* \{$", text)
    assert len(sites) == 5
    assert text.count("\timport closing\n") == len(sites)


def test_each_site_listens_only_where_its_clients_are() -> None:
    """No model shares one of these networks with Caddy."""
    assert binds(caddyfile()) == ["caddy.llm-network"] * 3 + ["caddy.fleet-litellm"]
    assert binds(caddyfile(monitoring=True)) == [
        *["caddy.llm-network caddy.fleet-monitoring"] * 3,  # the Blackbox exporter looks at the certificates
        "caddy.fleet-litellm",
        "caddy.fleet-monitoring",
    ]
    sites = re.findall(r"^https?://.* \{$", caddyfile(monitoring=True), re.MULTILINE)
    assert len(binds(caddyfile(monitoring=True))) == len(sites)


def test_with_an_ipv6_subnet_the_public_sites_listen_on_both_addresses() -> None:
    (public,) = set(binds(caddyfile(network={"ipv6": "fd00:1::/64"}))) - {"caddy.fleet-litellm"}
    assert public == "tcp4/caddy.llm-network tcp6/caddy.llm-network"


def binds(text: str) -> list[str]:
    return re.findall(r"^\tbind (.+)$", text, re.MULTILINE)


def test_direct_requests_and_those_of_litellm_find_their_replica_in_the_same_way() -> None:
    text = caddyfile()
    assert "import replicas" in steps(text, "handle @direct")
    assert "import replicas {" in block(text, "handle @model")
    assert text.count("lb_policy") == 1


def test_only_refused_connections_are_tried_again() -> None:
    """By default Caddy repeats a GET whose answer broke off."""
    replicas = "\n".join(block(caddyfile(), "(replicas)"))
    assert "lb_retry_match {\n\t\tmethod NONE\n\t}" in replicas


def test_a_request_is_sent_again_only_if_caddy_has_all_of_it() -> None:
    """Caddy would send the rest of a larger one alone."""
    text = caddyfile(caddy={"check_key_above_kb": 77})
    litellm = "\n".join(block(text, "(litellm)"))
    assert "lb_retry_match {\n\tmethod GET POST DELETE\n\tvars buffered yes\n}" in litellm
    for size, count in (("4096", 2), ("77", 1)):
        assert text.count(f"import litellm {size}\n") == count
        assert text.count(f"import buffered {size}\n") == 1


def test_only_the_switch_opens_the_rest_of_litellm() -> None:
    assert block(caddyfile(), "handle") == ['import refuse 404 not_found "no such path"']
    assert block(caddyfile(litellm_admin=True), "handle")[-1] == "import to_litellm"


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "chat/completions",
        "completions",
        "embeddings",
        "models",
        "responses",
        "responses/resp_1/cancel",
        "messages",
        "messages/count_tokens",
        "models/qwen3-8b",
        "models/own/adapter:1",
        "rerank",
        "audio/transcriptions",
        "audio/speech",
        "images/generations",
        "images/edits",
    ],
)
def test_clients_reach_the_api(path: str) -> None:
    assert all(re.search(pattern, prefix + path) for prefix, pattern in api_paths())


@pytest.mark.parametrize(
    "path",
    [
        "model/info",
        "mcp/server",
        "agents",
        "models/a?b",
        "audio/translations",
        "realtime",
        "batches",
        "embeddings/",
        "chat/completions/x",
        "key/generate",
        "files",
        "",
    ],
)
def test_what_manages_litellm_is_not_theirs(path: str) -> None:
    assert not any(re.search(pattern, prefix + path) for prefix, pattern in api_paths())


def api_paths() -> list[tuple[str, str]]:
    """Prefix and required pattern of the path, for both routes to LiteLLM."""
    text = caddyfile()
    (api,) = re.findall(r"@api \{[^}]*path_regexp (\S+)", text)
    (opened,) = re.findall(r"@open \{[^}]*path_regexp model (\S+)", text)
    return [("/v1/", api), ("/open/qwen3-8b/v1/", opened)]


# Secrets


@pytest.mark.parametrize("https", [{"names": NAMES}, FILES])
@pytest.mark.parametrize("template", ["Caddyfile.j2", "status.html.j2"])
def test_no_secret_is_in_it(template: str, https: dict[str, Any]) -> None:
    text = rendered(template, fact(SECRETIVE, https=https, monitoring=True, litellm_admin=True, **SECRETS))
    assert not re.search(r"secret-\d|PRIVATE|c2VjcmV0", text)


@pytest.mark.parametrize("syntax", ["<", ">", "&", '"', "'", "{", "}", "`", " ", "\n", "#", ","])
def test_nothing_that_is_syntax_to_a_caddyfile_or_a_page_gets_through_the_inventory(syntax: str) -> None:
    for variables in (
        {"https": {"names": [f"a{syntax}b"]}},
        {"https": {**FILES, "names": [f"a{syntax}b"]}},
        {"https": {**ACME, "email": f"a{syntax}b@example.com"}},
        {"models": [entry(name=f"a{syntax}b")]},
    ):
        with pytest.raises(FleetError):
            fleet(**variables)


# The page at the root


class Page(HTMLParser):
    """rows: the text of each row's cells. tags: all that open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "br":
            self.rows[-1][-1] += "\n"

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data.strip()


def page(*entries: dict[str, Any], **variables: Any) -> Page:
    return Page(rendered("status.html.j2", fact(*entries, **variables)))


def test_the_page_says_by_which_addresses_each_model_is_reached() -> None:
    head, *rows = page(
        entry(name="plain"),
        entry(name="fast", direct=True),
        entry(name="free", type="embedding", open=True),
        entry(name="all", open=True, direct=True),
        entry(name="voice", type="tts"),
    ).rows
    here = "https://llm.example.com"
    assert head == ["Model", "Type", "Base URL"]
    assert [(name, kind, where.splitlines()) for name, kind, where in rows] == [
        ("plain", "chat", [f"{here}/v1"]),
        ("fast", "chat", [f"{here}/v1", f"{here}/models/fast/v1"]),
        ("free", "embedding", [f"{here}/v1", f"{here}/open/free/v1(any key)"]),
        ("all", "chat", [f"{here}/v1", f"{here}/models/all/v1", f"{here}/open/all/v1(any key)"]),
        ("voice", "tts", [f"{here}/v1", f"{here}/models/voice/v1"]),
    ]


@pytest.mark.parametrize(
    ("names", "url"),
    [
        (["a.example.com", "b.example.com"], "https://a.example.com/v1"),
        (["10.0.0.7"], "https://10.0.0.7/v1"),
        (["fd00::7", "a.example.com"], "https://[fd00::7]/v1"),
        (["*.example.com", "a.example.com"], "https://a.example.com/v1"),
        (["*.example.com", "*.example.net", "fd00::7"], "https://[fd00::7]/v1"),
        (["*.example.com"], "https://localhost/v1"),  # the host, as Ansible reaches it
    ],
)
def test_the_urls_on_the_page_are_such_as_a_client_can_take(names: list[str], url: str) -> None:
    assert page(entry(name="plain"), https={**FILES, "names": names}).rows[1][2] == url


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_model_that_does_not_run_is_not_on_the_page(state: str) -> None:
    assert page(entry(state=state, open=True, direct=True)).rows[1:] == [["none yet"]]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """Browsers may be in networks without internet access."""
    found = page(entry(open=True, direct=True))
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)


def test_of_the_models_the_page_needs_only_what_it_shows() -> None:
    whole = fact(SECRETIVE, entry(name="voice", type="tts"), **SECRETS)
    shown = ("name", "type", "state", "in_gateway", "has_direct_route", "has_open_route")
    models = [{key: one[key] for key in shown} for one in whole["models"]]
    alone = {"https": {"names": whole["https"]["names"]}, "base_url": whole["base_url"], "models": models}
    assert rendered("status.html.j2", alone) == rendered("status.html.j2", whole)
    assert "secret" not in json.dumps(alone)


# A drained host


@pytest.mark.parametrize("admin", [False, True])
def test_a_drained_host_refuses_requests_for_models_before_it_looks_at_anything_else(admin: bool) -> None:
    text = caddyfile(litellm_admin=admin, monitoring=True)
    matched, *looked_up = block(text, "@drained")
    paths = re.compile(matched.removeprefix("path_regexp "))
    assert all(map(paths.search, ("/v1/models", "/models/a/v1/embeddings", "/open/a/v1/chat/completions")))
    assert bool(paths.search("/chat/completions")) == admin
    assert not any(map(paths.search, ("/", "/grafana/d/fleet", "/ui")))
    assert looked_up == [
        "file {",
        "\troot /etc/caddy",
        "\ttry_files /drained",
        "}",
    ]
    assert block(text, "handle @drained")[0].startswith("import fail 503 host_drained ")
    later = ["handle @crooked", "handle @api", "handle @direct", "handle @open", "handle /grafana/*", "handle / {"]
    assert all(text.index("handle @drained") < text.index(one) for one in later)


def test_the_file_of_a_drain_is_the_one_that_caddy_looks_up() -> None:
    """The folder /etc/caddy of the container is the folder caddy of the configuration."""
    found = fact()["paths"]
    assert found["drained"] == f"{found['config']}/caddy/drained"

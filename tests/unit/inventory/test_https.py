"""fleet_https: the options of each mode, and the data for the host and its templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import Https
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, faults
from hypothesis import given
from hypothesis import strategies as st

# The parser does not read certificates; the controller checks them in plugin_utils/certificates.
CERT = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n"
SIGNER = "-----BEGIN CERTIFICATE-----\nc2lnbmVy\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n"
SECRET = "c2VjcmV0c2VjcmV0"

ACME: dict[str, Any] = {"mode": "acme", "email": "admin@example.com", "names": ["llm.example.com"]}
OWN_CA = {**ACME, "directory": "https://ca.internal:9000/acme/acme/directory", "directory_root": CERT}
FILES: dict[str, Any] = {"mode": "files", "cert": CERT + SIGNER, "key": KEY}


def https(data: Any) -> Https:
    return Https.parse(data, "fleet_https")


def https_faults(data: Any) -> list[str]:
    return faults(https, data)


# Valid values


def test_a_public_ca_needs_an_address_to_write_to_and_names() -> None:
    assert https(ACME) == Https("acme", ("llm.example.com",), "admin@example.com")


def test_a_ca_of_ones_own_is_named_by_its_directory_and_its_root() -> None:
    read = https({**OWN_CA, "names": ["llm", "llm.internal", "gate.test"]})
    assert (read.names, read.directory_root) == (("llm", "llm.internal", "gate.test"), CERT)


@pytest.mark.parametrize("name", ["llm.example.com", "10.0.0.7", "fd00::7", "*.example.com", "localhost"])
def test_a_certificate_of_ones_own_may_be_for_anything(name: str) -> None:
    assert https({**FILES, "names": [name]}).names == (name,)


@pytest.mark.parametrize(
    "key",
    [
        KEY.replace("PRIVATE", "RSA PRIVATE"),
        "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" + KEY.replace("PRIVATE", "EC PRIVATE"),
        "Bag Attributes\n    friendlyName: llm\n" + KEY,
        KEY.replace("\n", "\r\n"),
        CERT + KEY,
    ],
)
def test_of_a_key_only_its_block_is_kept(key: str) -> None:
    kept = https({**FILES, "key": key}).key or ""
    assert kept.startswith("-----BEGIN ")
    assert kept.endswith("PRIVATE KEY-----\n")
    assert kept.count("-----BEGIN") == 1
    assert "\r" not in kept


def test_of_a_chain_every_certificate_is_kept_and_a_key_among_them_is_not() -> None:
    assert https({**FILES, "cert": f"subject=leaf\n{CERT}{KEY}\nsubject=signer\n{SIGNER}"}).cert == CERT + SIGNER


def test_addresses_are_kept_in_the_form_that_clients_send() -> None:
    assert https({"names": ["2001:DB8:0::7", "10.0.0.7"]}).names == ("2001:db8::7", "10.0.0.7")


# Invalid values


def test_a_wildcard_outside_mode_files_names_the_mode() -> None:
    (fault,) = https_faults({"names": ["*.corp"]})
    assert fault == (
        "fleet_https.names[0]: expected a host name or an address, got '*.corp'; a wildcard needs mode: files, with a "
        "certificate for it"
    )


@pytest.mark.parametrize("mode", [{}, FILES])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cafe:8443", "; write cafe, since Caddy listens on port 443 only"),
        ("[fd00::7]:8443", "; write fd00::7, since Caddy listens on port 443 only"),
        ("[fd00::7]", "; write the address without brackets"),
        ("GPU_Node_01", "; a host name has no underscore"),
        *((name, "") for name in (":", "1::2::3", "fe80::1%eth0", "10.0.0", "10.0.0.256", "42", "a..b", "-a", "a.")),
        ("a" * 64, ""),
        (".".join(["abcdefg"] * 32), ""),
        ("*.10.0.0.7", ""),
        ("*.fd00::7", ""),
    ],
)
def test_what_is_neither_a_host_name_nor_an_address_is_a_fault(mode: Any, name: str, hint: str) -> None:
    (fault,) = https_faults({**mode, "names": [name]})
    assert fault.startswith("fleet_https.names[0]: expected a host name or an address, got '")
    assert fault.endswith(f"'{hint}" if len(name) < 70 else "...")


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (
            {"mode": "internal", "email": "a@b.c"},
            ["fleet_https.email: belongs to mode acme, and the mode is internal; take it out or write mode: acme"],
        ),
        (
            {"cert": CERT, "key": KEY},
            [
                "fleet_https.cert: belongs to mode files, and the mode is internal; take it out or write mode: files",
                "fleet_https.key: belongs to mode files, and the mode is internal; take it out or write mode: files",
            ],
        ),
        (
            {**ACME, "key": KEY},
            ["fleet_https.key: belongs to mode files, and the mode is acme; take it out or write mode: files"],
        ),
        (
            {**FILES, "directory": "https://ca/"},
            ["fleet_https.directory: belongs to mode acme, and the mode is files; take it out or write mode: acme"],
        ),
        ({"mode": "file", "cert": CERT}, ["fleet_https.mode: expected one of internal, acme, files, got 'file'"]),
        (
            {"mode": "acme"},
            [
                "fleet_https.email: missing; expected the mail address that the CA may write to",
                "fleet_https.names: missing; expected at least one host name, since a CA signs for names it can check",
            ],
        ),
        (
            {**ACME, "directory": "http://ca.example.com/directory"},
            [
                "fleet_https.directory: expected the https URL of an ACME directory, "
                "got 'http://ca.example.com/directory'"
            ],
        ),
        (
            {**ACME, "directory_root": CERT},
            ["fleet_https.directory_root: directory is missing; a root belongs to the ACME server that it names"],
        ),
        (
            {"mode": "files"},
            [
                "fleet_https.cert: missing; expected the certificate chain, leaf first, as PEM text or a file on your "
                "machine",
                "fleet_https.key: missing; expected the private key as PEM text or a file on your machine",
            ],
        ),
    ],
)
def test_refuses_and_says_what_would_be_right(data: dict[str, Any], messages: list[str]) -> None:
    found = https_faults(data)
    assert [fault.partition("; did you mean")[0] for fault in found] == messages


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("10.0.0.7", "is an address; ACME is for host names, or use mode internal or files"),
        ("fd00::7", "is an address; ACME is for host names, or use mode internal or files"),
        ("localhost", "is every machine's name for itself, so no CA signs it, or use mode internal or files"),
        ("a.localhost", "is every machine's name for itself, so no CA signs it, or use mode internal or files"),
    ],
)
@pytest.mark.parametrize("acme", [ACME, OWN_CA])
def test_no_acme_server_signs_addresses_and_localhost(name: str, why: str, acme: dict[str, Any]) -> None:
    assert https_faults({**acme, "names": ["llm.example.com", name]}) == [f"fleet_https.names[1]: {name!r} {why}"]


@pytest.mark.parametrize("name", ["llm", "llm.local", "LLM.Internal", "llm.home.arpa", "gate.test"])
def test_a_private_name_needs_a_ca_of_ones_own(name: str) -> None:
    assert https_faults({**ACME, "names": [name]}) == [
        f"fleet_https.names[0]: {name!r} is a private name, which no public CA signs; "
        "name the directory of your own CA, or use mode internal or files"
    ]


def test_wildcards_need_a_challenge_that_is_not_done() -> None:
    assert https_faults({**ACME, "names": ["*.example.com"]}) == [
        "fleet_https.names[0]: '*.example.com' needs the DNS challenge, which is not supported; name each host"
    ]


@pytest.mark.parametrize("name", ["*.example.com", "a b", "a/b", "{env.HOME}", 'a"', "a.*.com", "*", "-a"])
def test_names_hold_nothing_that_is_syntax_to_caddy(name: str) -> None:
    assert https_faults({"names": [name]})[0].startswith("fleet_https.names[0]: expected a host name or an address")


@pytest.mark.parametrize(
    "text", ["a@b.c {\nimport x", "a b@c.d", "{$SECRET}@b.c", 'a"@b.c', "a@b.c#", "nobody", "`@b.c"]
)
def test_mail_addresses_hold_nothing_that_is_syntax_to_caddy(text: str) -> None:
    assert https_faults({**ACME, "email": text})[0].startswith("fleet_https.email: expected the mail address")


@pytest.mark.parametrize(
    "text", ["https://a/{env.HOME}", "https://a/ b", 'https://a/"', "https://a/\n}", "https://a/`"]
)
def test_urls_hold_nothing_that_is_syntax_to_caddy(text: str) -> None:
    assert https_faults({**ACME, "directory": text})[0].startswith("fleet_https.directory: expected the https URL")


# The key


@pytest.mark.parametrize(
    "data",
    [
        KEY,
        [KEY],
        {**FILES, "key": SECRET},
        {**FILES, "key": [KEY]},
        {**FILES, "key": {"pem": KEY}},
        {**FILES, "key": KEY.replace("END", "ENDE")},
        {**FILES, "cert": KEY},
        {**FILES, "cert": SECRET},
        {**FILES, "private_key": KEY},
        {"mode": "internal", "key": KEY},
        {"mode": "acme", "key": KEY},
    ],
)
def test_a_key_in_whatever_place_is_in_no_message(data: Any) -> None:
    found = https_faults(data)
    assert found
    assert SECRET not in "\n".join(found)


def test_templates_and_eyes_get_the_names_of_files_and_not_what_is_in_them() -> None:
    public = Fleet.parse({"fleet_https": {**FILES, "cert": CERT + KEY}}).public()["https"]
    assert sorted(public) == ["default_sni", "directory", "email", "files", "mode", "names"]
    assert sorted(public["files"]) == ["cert", "key"]
    assert "BEGIN" not in json.dumps(public)
    assert SECRET not in repr(https(FILES))


def test_the_host_keeps_all_of_it_and_reads_it_back_the_same() -> None:
    for data in ({}, ACME, OWN_CA, {**FILES, "names": ["llm.example.com"]}):
        state = json.loads(json.dumps(Fleet.parse({"fleet_https": data}).desired_state()))
        assert https(state["fleet_https"]) == https(data)


# Files for Caddy


def test_a_renewed_certificate_is_another_file() -> None:
    """Otherwise the Caddyfile would be equal, and a reload would have no effect."""
    before, after = https(FILES).files, https({**FILES, "cert": SIGNER}).files
    assert before.keys() == after.keys() == {"cert", "key"}
    assert not set(before.values()) & set(after.values())


def test_the_same_certificate_written_otherwise_is_the_same_file() -> None:
    otherwise = "# ours\r\n" + (CERT + SIGNER).replace("\n", "\r\n")
    assert https({**FILES, "cert": otherwise}).files == https(FILES).files


def test_only_what_a_mode_needs_is_a_file() -> None:
    assert https({}).files == https(ACME).files == {}
    assert list(https(OWN_CA).files) == ["directory_root"]


@given(
    st.dictionaries(
        st.sampled_from(["mode", "names", "email", "directory", "directory_root", "cert", "key"]),
        ANYTHING | st.sampled_from(["acme", "files", "internal", CERT, KEY]),
    )
)
def test_anything_is_valid_or_a_fleet_error(data: dict[str, Any]) -> None:
    try:
        read = https(data)
    except FleetError as error:
        assert all(fault.startswith("fleet_https.") and fault.isprintable() for fault in error.faults)
    else:
        assert https(json.loads(json.dumps({**read.__dict__}))) == read

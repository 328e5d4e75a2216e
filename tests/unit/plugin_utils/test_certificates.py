"""Given certificates: the checks before any host gets them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import Https
from ansible_collections.inference.fleet.plugins.plugin_utils import certificates
from ansible_collections.inference.fleet.tests.unit.authority import NOW, Pair, issue, key_text
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

ROOT = issue(common_name="root", days=4000)
SIGNER = issue(common_name="signer", signer=ROOT, days=2000)
LEAF = issue("llm.example.com", "10.0.0.7", signer=SIGNER, common_name="leaf")
DAMAGED = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n"


def verdict(cert: str, key: str, *names: str) -> certificates.Verdict:
    given = {"mode": "files", "cert": cert, "key": key, "names": list(names)}
    return certificates.check(Https.parse(given, "fleet_https"), NOW)


def of(pair: Pair, *names: str) -> certificates.Verdict:
    return verdict(pair.cert, pair.key, *names)


def test_a_leaf_with_its_signer_and_key_will_do() -> None:
    assert verdict(LEAF.cert + SIGNER.cert, LEAF.key, "llm.example.com", "10.0.0.7") == certificates.Verdict()
    assert verdict(LEAF.cert + SIGNER.cert + ROOT.cert, LEAF.key).faults == ()


def test_one_that_signed_itself_will_do() -> None:
    assert of(issue("llm"), "llm") == certificates.Verdict()


def test_other_modes_have_no_certificate_to_look_at() -> None:
    assert certificates.check(Https(), NOW) == certificates.Verdict()


# The chain


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ([LEAF, ROOT], "certificate 1 of the chain is not signed by certificate 2; expected the leaf first and each "
        "one's signer after it, here 'CN=signer' after 'CN=leaf'"),
        ([LEAF, SIGNER, LEAF], "certificate 2 of the chain is not signed by certificate 3; expected the leaf first and "
        "each one's signer after it, here 'CN=root' after 'CN=signer'"),
        ([LEAF, issue(common_name="signer")], "certificate 1 of the chain is not signed by certificate 2; expected the "
        "leaf first and each one's signer after it, here 'CN=signer' after 'CN=leaf'"),
    ],
)  # fmt: skip
def test_each_certificate_is_signed_by_the_next(chain: list[Pair], message: str) -> None:
    assert verdict("".join(one.cert for one in chain), LEAF.key).faults == (f"fleet_https.cert: {message}",)


def test_a_chain_with_its_signer_first_has_neither_order_nor_key_nor_names() -> None:
    assert [fault.partition(":")[0] for fault in verdict(SIGNER.cert + LEAF.cert, LEAF.key).faults] == [
        "fleet_https.cert",
        "fleet_https.cert",
        "fleet_https.key",
    ]


@pytest.mark.parametrize("cert", [DAMAGED, LEAF.cert + DAMAGED, LEAF.cert.replace("MI", "MJ", 1)])
def test_a_damaged_certificate_is_reported(cert: str) -> None:
    assert verdict(cert, LEAF.key).faults == (
        "fleet_https.cert: has a certificate that is damaged; expected PEM as the CA gave it",
    )


# Time


def test_an_expired_certificate_is_reported_with_its_date() -> None:
    assert of(issue("llm", start=NOW - timedelta(days=100), days=69)).faults == (
        "fleet_https.cert: expired on 2026-10-01; expected one that is valid today",
    )


def test_an_expired_signer_is_reported_too() -> None:
    signer = issue(common_name="signer", signer=ROOT, start=NOW - timedelta(days=100), days=69)
    leaf = issue("llm", signer=signer)
    assert verdict(leaf.cert + signer.cert, leaf.key).faults == (
        "fleet_https.cert: certificate 2 of the chain ('CN=signer') expired on 2026-10-01; "
        "expected one that is valid today",
    )


def test_a_certificate_of_tomorrow_is_reported_with_both_dates() -> None:
    assert of(issue("llm", start=NOW + timedelta(days=1))).faults == (
        "fleet_https.cert: is not valid before 2026-11-02 12:00 UTC, and it is 2026-11-01 12:00 here; "
        "wait, or set the clock of this machine",
    )


@pytest.mark.parametrize(("days", "warned"), [(30, True), (1, True), (31, False)])
def test_a_certificate_that_expires_within_30_days_is_a_warning(days: int, warned: bool) -> None:
    found = of(issue("llm", start=NOW, days=days))
    assert found.faults == ()
    assert bool(found.warnings) == warned


def test_a_signer_that_expires_first_is_what_is_warned_of() -> None:
    signer = issue(common_name="signer", signer=ROOT, days=17)
    leaf = issue("llm", signer=signer)
    assert verdict(leaf.cert + signer.cert, leaf.key).warnings == (
        "fleet_https.cert: expires on 2026-11-08, in 7 days; clients refuse it then, so renew it by that day",
    )


# Names


@pytest.mark.parametrize(
    ("made_for", "name"),
    [
        ("llm.example.com", "LLM.example.com"),
        ("*.example.com", "llm.example.com"),
        ("*.example.com", "*.example.com"),
        ("10.0.0.7", "10.0.0.7"),
        ("fd00::7", "fd00:0:0::7"),
    ],
)
def test_a_name_is_covered_by_itself_or_a_wildcard(made_for: str, name: str) -> None:
    assert of(issue(made_for), name).faults == ()


@pytest.mark.parametrize(
    ("made_for", "name"),
    [
        ("llm.example.com", "example.com"),
        ("llm.example.com", "a.llm.example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "a.b.example.com"),
        ("*.example.com", "llm.example.org"),
        ("10.0.0.7", "10.0.0.8"),
        ("*.0.0.7", "10.0.0.7"),
        ("llm.example.com", "*.example.com"),
    ],
)
def test_a_name_that_is_not_covered_is_reported_with_those_that_are(made_for: str, name: str) -> None:
    assert of(issue("other.example", made_for), "other.example", name).faults == (
        f"fleet_https.names[1]: {name!r} is not covered by the certificate, which is for other.example, {made_for}; "
        "remove the name or get a certificate that covers it",
    )


def test_the_common_name_counts_for_nothing() -> None:
    assert of(issue(common_name="llm.example.com"), "llm.example.com").faults == (
        "fleet_https.cert: has no host names or addresses among its subject alternative names, and clients check "
        "nothing else; get a certificate with these",
    )


def test_a_certificate_for_clients_is_refused() -> None:
    oids = x509.oid.ExtendedKeyUsageOID
    assert of(issue("llm", usage=oids.SERVER_AUTH)).faults == ()
    assert of(issue("llm", usage=oids.CLIENT_AUTH)).faults == (
        "fleet_https.cert: is not for servers; expected TLS server authentication among its extended key usages",
    )


def test_the_names_of_a_certificate_are_its_own_with_wildcards_last() -> None:
    made = issue("*.example.com", "llm.example.com", "10.0.0.7", "llm.example.com")
    assert certificates.names(made.cert + SIGNER.cert) == ("llm.example.com", "10.0.0.7", "*.example.com")


@pytest.mark.parametrize("cert", ["", DAMAGED, "text", None, 7, issue().cert])
def test_what_is_no_certificate_has_no_names(cert: object) -> None:
    assert certificates.names(cert) == ()


# The key


@pytest.mark.parametrize(
    ("private", "form"),
    [
        (rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8),
        (rsa.generate_private_key(65537, 2048), PrivateFormat.TraditionalOpenSSL),
        (ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
        (ec.generate_private_key(ec.SECP384R1()), PrivateFormat.TraditionalOpenSSL),
        (ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
    ],
)
def test_takes_the_keys_that_tls_servers_take(private: Any, form: PrivateFormat) -> None:
    leaf = issue("llm", signer=SIGNER, private=private)
    assert verdict(leaf.cert, key_text(private, form)).faults == ()


def test_the_key_of_another_certificate_is_reported() -> None:
    assert verdict(LEAF.cert + SIGNER.cert, SIGNER.key).faults == (
        "fleet_https.key: belongs to another certificate than the first of fleet_https.cert ('CN=leaf'); "
        "expected the key that it was made with",
    )


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_passphrase_is_reported_with_how_to_take_it_off(form: PrivateFormat) -> None:
    assert verdict(LEAF.cert, key_text(LEAF.private, form, "let me in")).faults == (
        "fleet_https.key: is encrypted with a passphrase, and Caddy cannot ask for one; remove it "
        "(openssl pkey -in KEY -out PLAIN) and encrypt the file with ansible-vault instead",
    )


@pytest.mark.parametrize(
    ("key", "start"),
    [
        (key_text(dsa.generate_private_key(2048)), "is of a type that TLS servers do not accept"),
        (key_text(ec.generate_private_key(ec.SECP256K1())), "is of a type that TLS servers do not accept"),
        (key_text(LEAF.private).replace("MI", "MJ", 1), "is damaged or of an unknown kind"),
        (key_text(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH), "is damaged or of an unknown kind"),
    ],
)
def test_a_key_that_cannot_be_used_is_reported_and_never_shown(key: str, start: str) -> None:
    (fault,) = verdict(LEAF.cert, key).faults
    assert fault.startswith(f"fleet_https.key: {start}")
    assert not any(line in fault for line in key.splitlines())


# The root of an ACME server


def test_the_root_of_an_acme_server_is_looked_at_too() -> None:
    def check(root: str) -> certificates.Verdict:
        return certificates.check(Https("acme", ("llm.internal",), "a@b.c", "https://ca/", root), NOW)

    assert check(ROOT.cert) == certificates.Verdict()
    assert check(issue(start=NOW - timedelta(days=100), days=69).cert).faults == (
        "fleet_https.directory_root: expired on 2026-10-01; expected one that is valid today",
    )
    assert check(DAMAGED).faults == (
        "fleet_https.directory_root: has a certificate that is damaged; expected PEM as the CA gives it",
    )

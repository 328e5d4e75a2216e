# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks given certificates before any host gets them. Pure.

ansible-core requires `cryptography`, so every controller has it; hosts do not need it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import Https, is_address

# ansible-core's requirements are always installed, except where ansible-test imports each plugin alone.
with suppress(ImportError):
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_CERT = "fleet_https.cert"
_KEY = "fleet_https.key"
_ROOT = "fleet_https.directory_root"
_BUNDLE = "fleet_ca_bundle"
_SOON = timedelta(days=30)
_CURVES = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True)
class Verdict:
    """Faults, and warnings of faults to come."""

    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check(https: Https, now: datetime) -> Verdict:
    """now: with a time zone."""
    if https.mode == "files" and https.cert and https.key:
        return _check_files(https, https.cert, https.key, now)
    if https.directory_root:
        try:
            roots = _load(https.directory_root)
        except ValueError:
            return Verdict((f"{_ROOT}: has a certificate that is damaged; expected PEM as the CA gives it",))
        return Verdict(tuple(_outside_its_time(_ROOT, roots, now)))
    return Verdict()


def check_authorities(bundle: str | None, now: datetime) -> Verdict:
    """Checks `fleet_ca_bundle`. An expired authority is only a warning: others of the bundle may be in use."""
    try:
        found = _load(bundle) if bundle else []
    except ValueError:
        return Verdict((f"{_BUNDLE}: has a certificate that is damaged; expected PEM as the CA gives it",))
    return Verdict(warnings=tuple(_outside_its_time(_BUNDLE, found, now)))


def names(cert: object) -> tuple[str, ...]:
    """The names of a leaf (the first PEM of the text): host names, wildcards, addresses; empty if damaged."""
    try:
        chain = _load(cert) if isinstance(cert, str) else []
        return _names(chain[0]) if chain else ()
    except ValueError:
        return ()


def _check_files(https: Https, cert: str, key: str, now: datetime) -> Verdict:
    try:
        chain = _load(cert)
        covered = _names(chain[0])
    except ValueError:
        return Verdict((f"{_CERT}: has a certificate that is damaged; expected PEM as the CA gave it",))
    faults = [
        *_outside_its_time(_CERT, chain, now),
        *_not_a_chain(chain),
        *_not_for_servers(chain[0], covered),
        *_not_covered(https.names, covered),
        *_wrong_key(chain[0], key),
    ]
    last = min(one.not_valid_after_utc for one in chain)
    if faults or last - now > _SOON:
        return Verdict(tuple(faults))
    days = (last - now).days
    return Verdict(
        warnings=(
            f"{_CERT}: expires on {last:%Y-%m-%d}, in {days} days; clients refuse it then, so renew it by that day",
        )
    )


def _load(text: str) -> list[x509.Certificate]:
    """Raises ValueError if the text contains no valid certificate."""
    return x509.load_pem_x509_certificates(text.encode())


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = alternatives.get_values_for_type(x509.DNSName)
    addresses = alternatives.get_values_for_type(x509.IPAddress)
    # Put wildcards last: clients that send no name get the certificate of the first name, and messages show it.
    in_order = sorted([*hosts, *map(str, addresses)], key=lambda name: name.startswith("*"))
    return tuple(dict.fromkeys(in_order))


def _which(chain: Sequence[x509.Certificate], index: int) -> str:
    if index == 0:
        return ""
    return f"certificate {index + 1} of the chain ({chain[index].subject.rfc4514_string()[:80]!r}) "


def _outside_its_time(path: str, chain: Sequence[x509.Certificate], now: datetime) -> Iterator[str]:
    for index, one in enumerate(chain):
        start, end = one.not_valid_before_utc, one.not_valid_after_utc
        if now > end:
            yield f"{path}: {_which(chain, index)}expired on {end:%Y-%m-%d}; expected one that is valid today"
        elif now < start:
            yield (
                f"{path}: {_which(chain, index)}is not valid before {start:%Y-%m-%d %H:%M} UTC, and it is "
                f"{now:%Y-%m-%d %H:%M} here; wait, or set the clock of this machine"
            )


def _not_a_chain(chain: Sequence[x509.Certificate]) -> Iterator[str]:
    for index, (one, signer) in enumerate(pairwise(chain)):
        try:
            one.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            yield (
                f"{_CERT}: certificate {index + 1} of the chain is not signed by certificate {index + 2}; "
                f"expected the leaf first and each one's signer after it, "
                f"here {one.issuer.rfc4514_string()[:80]!r} after {one.subject.rfc4514_string()[:80]!r}"
            )
            return


def _not_for_servers(leaf: x509.Certificate, covered: Sequence[str]) -> Iterator[str]:
    if not covered:
        yield (
            f"{_CERT}: has no host names or addresses among its subject alternative names, and clients check "
            f"nothing else; get a certificate with these"
        )
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    oids = x509.oid.ExtendedKeyUsageOID
    if not {oids.SERVER_AUTH, oids.ANY_EXTENDED_KEY_USAGE} & set(usages):
        yield f"{_CERT}: is not for servers; expected TLS server authentication among its extended key usages"


def _not_covered(wanted: Sequence[str], covered: Sequence[str]) -> Iterator[str]:
    for index, name in enumerate(wanted):
        if covered and not any(covers(one, name) for one in covered):
            yield (
                f"fleet_https.names[{index}]: {name!r} is not covered by the certificate, which is for "
                f"{', '.join(covered[:8])}{', ...' if len(covered) > 8 else ''}; "
                f"remove the name or get a certificate that covers it"
            )


def covers(one: str, name: str) -> bool:
    """Whether a certificate's name covers a name that clients use (RFC 6125: a wildcard is one whole label)."""
    if is_address(one) or is_address(name):
        return is_address(one) and is_address(name) and ipaddress.ip_address(one) == ipaddress.ip_address(name)
    one, name = one.lower(), name.lower()
    return one == name or (one.startswith("*.") and "." in name and one[2:] == name.split(".", 1)[1])


def _wrong_key(leaf: x509.Certificate, text: str) -> Iterator[str]:
    """The faults of the key, which never show more than its type."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        yield (
            f"{_KEY}: is encrypted with a passphrase, and Caddy cannot ask for one; "
            f"remove it (openssl pkey -in KEY -out PLAIN) and encrypt the file with ansible-vault instead"
        )
        return
    except (ValueError, UnsupportedAlgorithm):
        yield f"{_KEY}: is damaged or of an unknown kind; expected a private key in PEM, PKCS #8 or its older forms"
        return
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES
    ):
        yield f"{_KEY}: is of a type that TLS servers do not accept; expected RSA, ECDSA on a NIST curve, or Ed25519"
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        matches = key.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        matches = False
    if not matches:
        yield (
            f"{_KEY}: belongs to another certificate than the first of fleet_https.cert "
            f"({leaf.subject.rfc4514_string()[:80]!r}); expected the key that it was made with"
        )

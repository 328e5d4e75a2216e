# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_https`: the names of Caddy for clients, and the source of its certificate."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

# Mode -> the keys that only this mode has.
MODES: Mapping[str, tuple[str, ...]] = {
    "internal": (),
    "acme": ("email", "directory", "directory_root"),
    "files": ("cert", "key"),
}
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123, section 2.1
_LONGEST_NAME = 253
# No match contains syntax of a Caddyfile.
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
_URL = r"https://[A-Za-z0-9._~:/?%&=+,;@\[\]-]+"
_CERTIFICATE = "CERTIFICATE"
_PRIVATE_KEY = "(?:[A-Z]+ )?PRIVATE KEY"
# Top-level names of private networks: no public CA issues certificates for them (RFC 6762, RFC 8375, RFC 2606).
_PRIVATE_NAMES = ("local", "internal", "home.arpa", "lan", "home", "corp", "test", "example", "invalid")


@dataclass(frozen=True)
class Https:
    """How clients reach Caddy. names: host names and addresses in Caddy's certificates.

    email, directory, directory_root: for mode acme. directory: None for Caddy's default
    public CAs. directory_root: the root certificate that signs the ACME server's certificate.
    cert, key: for mode files; the chain has the leaf first. Certificates and the key are PEM
    blocks without other text.
    """

    mode: str = "internal"
    names: tuple[str, ...] = ()
    email: Optional[str] = None
    directory: Optional[str] = None
    directory_root: Optional[str] = None
    cert: Optional[str] = None
    key: Optional[str] = field(default=None, repr=False)

    @classmethod
    def parse(cls, data: object, path: str) -> Https:
        with Fields(data, path, secret=not isinstance(data, Mapping)) as read:
            mode = read.one_of("mode", tuple(MODES), None)
            if mode is None and read.has("mode"):
                # Without a valid mode, the valid keys are unknown.
                for key in ("names", *(key for keys in MODES.values() for key in keys)):
                    read.raw(key)
                return cls()
            mode = mode or cls.mode
            _refuse_keys_of_other_modes(read, mode)
            if mode == "acme":
                return cls._parse_acme(read)
            if mode == "files":
                return cls(
                    mode=mode,
                    names=read.each("names", _parse_name_or_wildcard),
                    cert=_pem(read, "cert", _CERTIFICATE, "the certificate chain, leaf first,"),
                    key=_pem(read, "key", _PRIVATE_KEY, "the private key"),
                )
            return cls(mode=mode, names=read.each("names", _parse_name))

    @classmethod
    def _parse_acme(cls, read: Fields) -> Https:
        email = read.text("email", pattern=_EMAIL, expected="the mail address that the CA may write to")
        directory = read.text("directory", None, _URL, "the https URL of an ACME directory")
        root = None
        if read.raw("directory_root") is not None:
            root = _pem(read, "directory_root", _CERTIFICATE, "the root certificate of the ACME server")
            if not read.has("directory"):
                read.fault("directory_root", "directory is missing; a root belongs to the ACME server that it names")
        names = read.each("names", _parse_acme_name(public=not read.has("directory")))
        if not read.raw("names"):
            read.fault("names", "missing; expected at least one host name, since a CA signs for names it can check")
        return cls("acme", names, email, directory, root)

    @property
    def files(self) -> dict[str, str]:
        """Field -> name of its file for Caddy. The name changes when the certificate changes."""
        suffixes = {"cert": {"cert": ".crt", "key": ".key"}, "directory_root": {"directory_root": ".acme-root.crt"}}
        return {
            of: hashlib.sha256(text.encode()).hexdigest()[:16] + suffix
            for named_after, files in suffixes.items()
            for text in [getattr(self, named_after)]
            if text
            for of, suffix in files.items()
        }

    def base_url(self, host: str) -> str:
        """The URL before /v1 for clients: the first name that is no wildcard, else `host`. IPv6 addresses have
        brackets. host: the name or address by which Ansible reaches the host."""
        name = next((name for name in self.names if not name.startswith("*")), host)
        return f"https://[{name}]" if ":" in name else f"https://{name}"

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(filter(is_address, self.names))

    @property
    def default_sni(self) -> Optional[str]:
        """The name whose certificate a client gets that names no server: one that connects by address (RFC 6066)."""
        return next(iter((*self.addresses, *self.names)), None)

    def public(self) -> dict[str, Any]:
        """Plain data for templates: file names instead of the contents."""
        data = asdict(self)
        for content in ("directory_root", "cert", "key"):
            del data[content]
        return {**data, "names": list(self.names), "default_sni": self.default_sni, "files": self.files}


def _refuse_keys_of_other_modes(read: Fields, mode: str) -> None:
    for other, keys in MODES.items():
        for key in keys if other != mode else ():
            if read.raw(key) is not None:
                read.fault(key, f"belongs to mode {other}, and the mode is {mode}; take it out or write mode: {other}")


def _pem(read: Fields, key: str, label: str, what: str) -> Optional[str]:
    """The PEM blocks with that label (a pattern), without other text. For keys, only the first block.

    No fault shows the value, since it may contain a private key.
    """
    value = read.raw(key)
    if value is None:
        read.fault(key, f"missing; expected {what} as PEM text or a file on your machine")
        return None
    blocks = [
        "\n".join(line.strip() for line in found.group().splitlines())
        for found in re.finditer(
            rf"-----BEGIN ({label})-----.*?-----END \1-----", value if isinstance(value, str) else "", re.DOTALL
        )
    ]
    if not blocks:
        read.fault(key, f"expected {what} as PEM text or a file of it on your machine; what was found is not shown")
        return None
    return "\n".join(blocks if label == _CERTIFICATE else blocks[:1]) + "\n"


def certificates(read: Fields, key: str) -> Optional[str]:
    """The certificates of a text in PEM form, without other text; None if not given."""
    what = "certificates of authorities"
    return _pem(read, key, _CERTIFICATE, what) if read.raw(key) is not None else None


def is_address(name: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, without brackets and without a zone such as %eth0."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return "%" not in name


def is_host_name(name: str) -> bool:
    """Whether clients can use the name in a URL. A last label of digits alone is part of an address (RFC 3696)."""
    labels = name.split(".")
    return len(name) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def is_name(name: str) -> bool:
    """Whether mode files accepts the name: a host name, an address, or a wildcard."""
    return is_address(name) or is_host_name(name[2:] if name.startswith("*.") else name)


def _parse_name(data: object, path: str) -> str:
    if isinstance(data, str) and is_address(data):
        return str(ipaddress.ip_address(data))  # the form that clients send
    if isinstance(data, str) and is_host_name(data):
        return data
    raise FleetError(f"{path}: expected a host name or an address, got {show(data)}{_hint(data)}")


def _hint(data: object) -> str:
    if not isinstance(data, str):
        return ""
    if data.startswith("*.") and is_name(data):
        return "; a wildcard needs mode: files, with a certificate for it"
    name, _colon, port = data.rpartition(":")
    if data.startswith("[") and is_address(data.strip("[]")):
        return "; write the address without brackets"
    if port.isdigit() and is_name(name.strip("[]")):
        return f"; write {name.strip('[]')}, since Caddy listens on port 443 only"
    return "; a host name has no underscore" if is_host_name(data.replace("_", "-")) else ""


def _parse_name_or_wildcard(data: object, path: str) -> str:
    return data if isinstance(data, str) and data.startswith("*.") and is_name(data) else _parse_name(data, path)


def _parse_acme_name(public: bool) -> Callable[[object, str], str]:
    """A parser for names that an ACME server can sign. public: whether the server is a public CA."""

    def parse(data: object, path: str) -> str:
        if isinstance(data, str) and data.startswith("*."):
            raise FleetError(f"{path}: {show(data)} needs the DNS challenge, which is not supported; name each host")
        name = _parse_name(data, path)
        last = "." + name.lower()
        if is_address(name):
            why = "is an address; ACME is for host names"
        elif last.endswith(".localhost"):
            why = "is every machine's name for itself, so no CA signs it"
        elif public and ("." not in name or last.endswith(tuple("." + private for private in _PRIVATE_NAMES))):
            why = "is a private name, which no public CA signs; name the directory of your own CA"
        else:
            return name
        raise FleetError(f"{path}: {name!r} {why}, or use mode internal or files")

    return parse

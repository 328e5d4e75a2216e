# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One entry of `fleet_keys`: a virtual key of LiteLLM for an application."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields, below
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show

STATES = ("present", "absent")
# Names in a key's metadata that LiteLLM reads as its own settings: litellm 1.106.2, proxy/_types.py,
# LiteLLM_ManagementEndpoint_MetadataFields, ..._Premium and LiteLLM_Reserved_Metadata_Fields.
LITELLM_METADATA = frozenset(
    [
        "allowed_passthrough_routes",
        "allowed_vector_store_indexes",
        "callback_settings",
        "default_estimated_output_tokens",
        "default_estimated_output_tokens_per_model",
        "denied_passthrough_routes",
        "disable_global_guardrails",
        "enable_prompt_caching",
        "end_user_budget_id",
        "enforced_batch_output_expires_after",
        "enforced_file_expires_after",
        "enforced_params",
        "guardrails",
        "logging",
        "mcp_rpm_limit",
        "model_itpm_limit",
        "model_otpm_limit",
        "model_rpm_limit",
        "model_tpm_limit",
        "policies",
        "prompts",
        "rpm_limit_type",
        "secret_manager_settings",
        "service_account_id",
        "tag_rpm_limit",
        "tags",
        "team_member_key_duration",
        "temp_budget_expiry",
        "temp_budget_increase",
        "throttle_on_budget_exceeded",
        "tpm_limit_type",
    ]
)
LONGEST_ALIAS = 255  # litellm 1.106.2, _KEY_ALIAS_MAX_LENGTH

_KEY = re.compile(r"sk-[!-~]{16,}")
_KEY_IS = "sk- and at least 16 printable ASCII characters without blanks; what was found is not shown"
_DURATION = r"[1-9][0-9]{0,5}(s|m|h|d|w|mo)"
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?")
_TIME_IS = "a date or a time in UTC, such as 2027-01-31 or 2027-01-31T12:00:00Z"
_LARGEST = {"rpm_limit": 2**53, "tpm_limit": 2**53, "max_parallel_requests": 2**31 - 1}  # limits of LiteLLM's columns


@dataclass(frozen=True)
class VirtualKey:
    """A virtual key of the inventory. A limit of None is LiteLLM's default: no limit.

    models, allowed_routes: sorted; empty for all. max_budget: USD. budget_duration: period after which LiteLLM
    resets the spend. expires: RFC 3339 in UTC, to the second. key: the secret value, if the inventory has it.
    """

    alias: str
    state: str = "present"
    models: tuple[str, ...] = ()
    allowed_routes: tuple[str, ...] = ()
    max_budget: Optional[float] = None
    budget_duration: Optional[str] = None
    rpm_limit: Optional[int] = None
    tpm_limit: Optional[int] = None
    max_parallel_requests: Optional[int] = None
    expires: Optional[str] = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    key: Optional[str] = field(default=None, repr=False)

    @classmethod
    def parse(cls, data: object, path: str) -> VirtualKey:
        with Fields(data, path, secret=not isinstance(data, Mapping)) as read:
            duration = "a number and s, m, h, d, w or mo, such as 24h or 30d"
            return cls(
                alias=_alias(read),
                state=read.one_of("state", STATES, cls.state),
                models=tuple(sorted(set(read.texts("models")))),
                allowed_routes=tuple(sorted(set(read.texts("allowed_routes")))),
                max_budget=read.amount("max_budget"),
                budget_duration=read.text("budget_duration", None, _DURATION, duration),
                expires=read.nested("expires", _parse_time, None),
                metadata=_metadata(read),
                key=_key(read),
                **{limit: _limit(read, limit) for limit in _LARGEST},
            )

    @property
    def expires_at(self) -> Optional[datetime]:
        return datetime.strptime(self.expires, "%Y-%m-%dT%H:%M:%S%z") if self.expires else None


def parse_keys(data: object) -> tuple[VirtualKey, ...]:
    """All of `fleet_keys`, without a check of the model names. Raises FleetError with every fault."""
    with Fields({"fleet_keys": data}, "") as read:
        keys = read.numbered("fleet_keys", VirtualKey.parse, secret=True)
        read.faults.extend(faults_between_keys(keys))
        return tuple(keys.values())


def faults_between_keys(
    keys: Mapping[int, VirtualKey], models: Optional[Iterable[Model]] = None, aliases: Iterable[str] = ()
) -> list[str]:
    """Faults between keys. keys: by index in the inventory. models: all models of the fleet, or None if unknown."""
    faults = []
    holders: dict[tuple[str, str], int] = {}
    own = None if models is None else [name for model in models for name in (model.name, *model.adapter_names)]
    known = None if own is None else {*own, *aliases}
    for index, key in keys.items():
        path = f"fleet_keys[{index}]"
        for part, value in (("alias", key.alias), ("key", key.key)):
            first = holders.setdefault((part, value), index) if value else index
            if first != index:
                shown = repr(value) if part == "alias" else "the value"
                faults.append(f"{path}.{part}: {shown} is also the {part} of fleet_keys[{first}]")
        faults += [
            f"{path}.models: the fleet has no model {name!r}{nearest(name, known)}"
            for name in key.models
            if known is not None and key.state == "present" and name not in known
        ]
    return faults


def _alias(read: Fields) -> str:
    value = read.raw("alias")
    if value is None:
        read.fault("alias", "missing; expected a name for the key")
    elif not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_ALIAS:
        read.fault("alias", f"expected 1 to {LONGEST_ALIAS} printable characters, got {show(value)}")
    elif value != value.strip() or ".." in value.split("/"):
        read.fault("alias", f"expected a name without blanks around it and without `..` as a folder, got {show(value)}")
    elif value.startswith("sk-"):
        read.fault("alias", "expected a name, got what looks like a key and is not shown")
    else:
        return str(value)
    return ""


def _key(read: Fields) -> Optional[str]:
    value = read.raw("key")
    if value is None or (isinstance(value, str) and _KEY.fullmatch(value)):
        return value
    read.fault("key", f"expected {_KEY_IS}")
    return None


def _limit(read: Fields, name: str) -> Optional[int]:
    value: Optional[int] = read.integer(name, None, at_least=1)
    if value is not None and value > _LARGEST[name]:
        read.fault(name, f"expected at most {_LARGEST[name]}, got {value}")
    return value


def _parse_time(data: object, path: str) -> str:
    """RFC 3339 in UTC. YAML may already have parsed the value as a date or time. Without a zone, it is UTC."""
    text = data.isoformat() if isinstance(data, date) else data  # a datetime is a date
    try:
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise FleetError(f"{path}: expected {_TIME_IS}, got {show(text)}") from None


def _metadata(read: Fields) -> Mapping[str, Any]:
    given = read.mapping("metadata")
    for name in given:
        if name in LITELLM_METADATA:
            read.fault(f"metadata.{name}", "LiteLLM reserves this name for a setting; choose another name")
    read.faults.extend(_json_faults(given, read.at("metadata")))
    return given


def _json_faults(value: object, path: str) -> Iterator[str]:
    """Faults of values that PostgreSQL would refuse or change."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str) or not _is_text(name):
                yield f"{path}: expected names that are text without NUL, got {show(name)}"
            yield from _json_faults(item, below(path, name))
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _json_faults(item, f"{path}[{place}]")
    elif isinstance(value, str):
        if not _is_text(value):
            yield f"{path}: expected text without NUL, got {show(value)}"
    elif isinstance(value, (int, float)):
        if not abs(value) <= 2**53:  # JSON parsers disagree on larger numbers
            yield f"{path}: expected a number between -2^53 and 2^53, got {show(value)}; quote it"
    elif value is not None:
        yield f"{path}: expected text, a number, true, false, null, a list or a mapping, got {show(value)}; quote it"


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)

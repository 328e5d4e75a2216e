# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual keys: the observed keys, the desired keys, and the difference as an ordered plan. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import LITELLM_METADATA, VirtualKey
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SETTINGS = (
    "models",
    "allowed_routes",
    "max_budget",
    "budget_duration",
    "rpm_limit",
    "tpm_limit",
    "max_parallel_requests",
    "expires",
    "metadata",
)
UNSET: Mapping[str, Any] = {**dict.fromkeys(SETTINGS), "models": (), "allowed_routes": (), "metadata": {}}
STAGES = ("delete", "create", "update")  # a value that moves to another alias must be deleted before it is created
SESSIONS = "litellm-dashboard"  # LiteLLM's UI_TEAM_ID: the team of the keys that its web interface makes at a sign-in
# LiteLLM takes an expiry as whole seconds from now, by its own clock.
SAME_TIME = timedelta(seconds=60)


@dataclass(frozen=True)
class ObservedKey:
    """A key that LiteLLM has. token: the SHA-256 of its value, in hex. alias: None where it has none.

    settings: as in VirtualKey, for each of SETTINGS; expires as a datetime. kept: LiteLLM's own
    entries of the metadata, which `settings` leaves out. team: its ID, if the key belongs to one.
    """

    token: str
    alias: Optional[str]
    settings: Mapping[str, Any]
    kept: Mapping[str, Any] = field(default_factory=dict)
    team: Optional[str] = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> ObservedKey:
        """From an object of LiteLLM's /key/list; missing fields count as null."""
        metadata = data.get("metadata") or {}
        budget = data.get("max_budget")
        return cls(
            token=data["token"],
            alias=data.get("key_alias"),
            settings={
                **{name: data.get(name) for name in SETTINGS},
                **{name: tuple(sorted(set(data.get(name) or ()))) for name in ("models", "allowed_routes")},
                "max_budget": None if budget is None else float(budget),
                "expires": _moment(data.get("expires")),
                "metadata": {name: value for name, value in metadata.items() if name not in LITELLM_METADATA},
            },
            kept={name: value for name, value in metadata.items() if name in LITELLM_METADATA},
            team=data.get("team_id"),
        )


@dataclass(frozen=True)
class Action:
    """One step. verb: one of STAGES.

    token: of LiteLLM's key, for update and delete. key: the desired key, for create and update.
    changes: setting -> (before, after). kept: as in ObservedKey. reason: for display.
    """

    verb: str
    alias: str
    reason: str
    changes: Mapping[str, tuple[Any, Any]]
    token: str = ""
    key: Optional[VirtualKey] = None
    kept: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.verb} {self.alias} ({self.reason})"


@dataclass(frozen=True)
class Plan:
    actions: tuple[Action, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The aliases of keys to create for which the inventory has no value."""
        return [
            action.alias for action in self.actions if action.verb == "create" and action.key and not action.key.key
        ]

    def diff(self) -> dict[str, str]:
        """Before and after, one line per changed setting, without the keys' values."""
        before, after = [], []
        for action in self.actions:
            if action.verb != "create":
                before += _lines(action, 0)
            if action.verb != "delete":
                after += _lines(action, 1)
        return {"before": "".join(before), "after": "".join(after)}


def plan_keys(
    observed: Iterable[ObservedKey], desired: Iterable[VirtualKey], now: datetime, exclusive_prefix: str = ""
) -> Plan:
    """The steps that turn LiteLLM's keys into the desired ones; keys with other aliases are left alone, unless their
    alias begins with `exclusive_prefix`: these are deleted.

    A key that has expired by `now` is not created, and equals any other expired key. Raises
    FleetError where an alias names several keys, or a key of another alias has the same value.
    """
    wanted = tuple(desired)
    found = tuple(observed)
    aliases = {key.alias for key in wanted}
    present = _by_alias(found, aliases)
    actions = [action for key in wanted for action in _steps(key, present.get(key.alias), now)]
    if exclusive_prefix:
        actions += [
            _delete(key.alias, key, "not wanted")
            for key in found
            if key.alias and key.alias.startswith(exclusive_prefix) and key.alias not in aliases
        ]
    actions.sort(key=lambda action: STAGES.index(action.verb))
    _refuse_taken_values(actions, found)
    return Plan(tuple(actions))


def expired(desired: Iterable[VirtualKey], now: datetime) -> list[str]:
    """A warning for each desired key whose expiry is past: nothing creates the key."""
    return [
        f"{key.alias}: expires {_text(key.expires_at)} is past, so the key is not created and no longer valid; "
        "set a later expires or state: absent"
        for key in desired
        if key.state != "absent" and key.expires_at and key.expires_at <= now
    ]


def others(observed: Iterable[ObservedKey], aliases: Container[str]) -> list[str]:
    """The keys with another alias, by alias, or by the beginning of the token without one; no sessions of LiteLLM's web
    interface."""
    return sorted(
        key.alias or f"{key.token[:8]}..."
        for key in observed
        if key.team != SESSIONS and (key.alias is None or key.alias not in aliases)
    )


def token_of(value: str) -> str:
    """The hash of a key that LiteLLM stores."""
    return hashlib.sha256(value.encode()).hexdigest()


def _by_alias(observed: Iterable[ObservedKey], aliases: Iterable[str]) -> dict[str, ObservedKey]:
    found: dict[str, list[ObservedKey]] = {alias: [] for alias in aliases}
    for key in observed:
        if key.alias in found:
            found[key.alias].append(key)
    faults = [
        f"{alias}: LiteLLM has {len(keys)} keys with this alias; give all but one of them another alias, or delete "
        f"them ({', '.join(key.token[:8] + '...' for key in keys)})"
        for alias, keys in sorted(found.items())
        if len(keys) > 1
    ]
    if faults:
        raise FleetError(*faults)
    return {alias: keys[0] for alias, keys in found.items() if keys}


def _steps(key: VirtualKey, observed: Optional[ObservedKey], now: datetime) -> list[Action]:
    """The steps for one alias."""
    wanted = {**{name: getattr(key, name) for name in SETTINGS}, "expires": key.expires_at}
    if key.state == "absent":
        return [_delete(key.alias, observed, "state: absent")] if observed else []
    if observed is None:
        if key.expires_at and key.expires_at <= now:
            return []
        return [Action("create", key.alias, "missing", _changes(UNSET, wanted, now), key=key)]
    if key.key and token_of(key.key) != observed.token:
        return [_delete(key.alias, observed, "has another value"), *_steps(key, None, now)]
    changes = _changes(observed.settings, wanted, now)
    if not changes:
        return []
    reason = "changed: " + ", ".join(changes)
    return [Action("update", key.alias, reason, changes, observed.token, key, observed.kept)]


def _delete(alias: str, observed: ObservedKey, reason: str) -> Action:
    changes = {name: (value, None) for name, value in observed.settings.items() if not _same(value, UNSET[name])}
    return Action("delete", alias, reason, changes, observed.token)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> dict[str, tuple[Any, Any]]:
    """Setting -> (before, after) where the two differ."""
    changes = {}
    for name in SETTINGS:
        old, new = before[name], after[name]
        same = _expire_together(old, new, now) if name == "expires" else _same(old, new)
        if not same:
            changes[name] = (old, new)
    return changes


def _expire_together(one: Optional[datetime], other: Optional[datetime], now: datetime) -> bool:
    if one is None or other is None:
        return one is other
    return max(one, other) <= now or abs(one - other) <= SAME_TIME


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, and neither is true."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _refuse_taken_values(actions: Iterable[Action], observed: Iterable[ObservedKey]) -> None:
    """If another key already has the value, LiteLLM reports success without creating the key."""
    going = {action.token for action in actions if action.verb == "delete"}
    holders = {key.token: key for key in observed if key.token not in going}
    faults = []
    for action in actions:
        value = action.key.key if action.verb == "create" and action.key else None
        holder = holders.get(token_of(value)) if value else None
        if holder:
            whose = f"the key {holder.alias!r}" if holder.alias else f"a key without an alias ({holder.token[:8]}...)"
            faults.append(
                f"{action.alias}: {whose} in LiteLLM has the same value; remove that key, or give another value"
            )
    if faults:
        raise FleetError(*faults)


def _moment(text: Optional[str]) -> Optional[datetime]:
    """Parses RFC 3339 with any number of decimals; UTC if without a zone (PostgreSQL's `timestamp`)."""
    if not text:
        return None
    whole, _point, rest = text.replace("Z", "+00:00").partition(".")
    moment = datetime.fromisoformat(whole + rest.lstrip("0123456789"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _lines(action: Action, side: int) -> list[str]:
    """A key's settings for display; side: 0 before, 1 after."""
    settings = [f"{action.alias}.{name}: {_text(pair[side])}\n" for name, pair in action.changes.items()]
    return settings if action.verb == "update" else [f"{action.alias}.key: (secret)\n", *settings]


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps(value, sort_keys=True, ensure_ascii=False)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads untyped data. Collects every fault before it raises."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import TracebackType
from typing import Any, Optional, TypeVar

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show, unquoted

T = TypeVar("T")

_REQUIRED: Any = object()
NUMBER = r"-?\d{1,18}"


def is_whole(value: object, at_least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def clean_path(path: str) -> str:
    """An absolute path in the form that Docker reports: without `.`, `..`, doubled and trailing slashes."""
    return posixpath.normpath("/" + path.lstrip("/"))


def below(path: str, key: object) -> str:
    """The path of a mapping's value. A key that is empty, long or not printable is quoted."""
    text = str(key)
    shown = text if text.isprintable() and 0 < len(text) <= 80 else show(text)
    return f"{path}.{shown}" if path else shown


class Fields:
    """Reads a mapping key by key.

    Used as a context manager: the exit raises one FleetError with every fault, unknown keys
    included. A method that finds a fault records it and returns a value of the right type,
    so that reading continues. secret: whether faults leave the values out.
    """

    def __init__(self, data: object, path: str, secret: bool = False) -> None:
        self.path = path
        self.secret = secret
        self.faults: list[str] = []
        self._known: set[str] = set()
        self._is_mapping = isinstance(data, Mapping)
        self._data: Mapping[str, Any] = {}
        if isinstance(data, Mapping):
            self._data = data
        else:
            self.faults.append(f"{path}: expected a mapping, got {show(data, secret)}")

    def __enter__(self) -> Fields:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is not None:
            return
        for key in self._data:
            if key not in self._known:
                self.faults.append(f"{self.at(key)}: unknown key{nearest(key, sorted(self._known))}")
        if self.faults:
            raise FleetError(*(self.faults if self._is_mapping else self.faults[:1]))

    def at(self, key: object) -> str:
        return below(self.path, key)

    def fault(self, key: object, text: str) -> None:
        self.faults.append(f"{self.at(key)}: {text}")

    def has(self, key: str) -> bool:
        """Whether the key has a value; null counts as not given."""
        return self._data.get(key) is not None

    def raw(self, key: str) -> Any:
        """The unchecked value. The caller checks it."""
        self._known.add(key)
        return self._data.get(key)

    def _take(
        self, key: str, default: T, expected: str, right: Callable[[Any], bool], secret: bool = False, hint: str = ""
    ) -> T:
        self._known.add(key)
        value = self._data.get(key)
        if value is None:
            if default is not _REQUIRED:
                return default
            self.fault(key, f"missing; expected {expected}")
        elif right(value):
            return value  # type: ignore[no-any-return]  # `right` has checked the type
        else:
            self.fault(key, f"expected {expected}, got {show(value, secret or self.secret)}{hint}")
        return None if default is _REQUIRED else default  # type: ignore[return-value]  # the exit raises

    def text(
        self, key: str, default: Any = _REQUIRED, pattern: str = r"[^\0\r\n]+", expected: str = "a line of text"
    ) -> Any:
        """Text that matches `pattern` as a whole."""
        return self._take(
            key, default, expected, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))
        )

    def integer(self, key: str, default: Any = _REQUIRED, at_least: int = 0, at_most: Optional[int] = None) -> Any:
        value = self._data.get(key)
        expected, hint = f"a whole number of at least {at_least}", unquoted(value, NUMBER)
        if at_most is not None and is_whole(value, at_most + 1):
            self._known.add(key)
            self.fault(key, f"expected {expected} and at most {at_most}, got {show(value)}")
            return at_least
        return self._take(key, default, expected, lambda value: is_whole(value, at_least), hint=hint)

    def amount(self, key: str) -> Optional[float]:
        """An amount of USD; None if not given."""
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
            return float(value)
        self.fault(key, f"expected a number of USD of at least 0, got {show(value)}{unquoted(value, NUMBER)}")
        return None

    def flag(self, key: str, default: bool = False) -> bool:
        hint = unquoted(self._data.get(key), "true|false|yes|no|on|off")
        return self._take(key, default, "true or false", lambda value: isinstance(value, bool), hint=hint)

    def one_of(self, key: str, choices: Sequence[str], default: Any = _REQUIRED) -> Any:
        found = self._data.get(key)
        return self._take(
            key,
            default,
            "one of " + ", ".join(choices) if len(choices) > 1 else choices[0],
            lambda value: isinstance(value, str) and value in choices,
            hint=nearest(found, choices) if isinstance(found, str) and found not in choices else "",
        )

    def absolute_path(
        self,
        key: str,
        default: Any = _REQUIRED,
        pattern: str = r"/[^\0\r\n:]*",
        expected: str = "an absolute path without a colon",
    ) -> Any:
        path = self.text(key, default, pattern, expected)
        return clean_path(path) if path else path

    def mapping(self, key: str, secret: bool = False) -> Mapping[str, Any]:
        return self._take(key, {}, "a mapping", lambda value: isinstance(value, Mapping), secret)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty if not given."""
        return tuple(self.each(key, _text))

    def nested(self, key: str, parse: Callable[[Any, str], T], default: T) -> T:
        """The value of `key`, read by `parse(value, path)`."""
        self._known.add(key)
        return self._parse(self._data[key], self.at(key), parse, default) if self.has(key) else default

    def each(self, key: str, parse: Callable[[Any, str], T], secret: bool = False) -> tuple[T, ...]:
        """The items of a list, each read by `parse(item, path)`, without the items that have faults."""
        return tuple(self.numbered(key, parse, secret).values())

    def numbered(self, key: str, parse: Callable[[Any, str], T], secret: bool = False) -> dict[int, T]:
        """As `each`, but index -> item, for later messages about items."""
        items: Sequence[Any] = self._take(key, [], "a list", lambda value: isinstance(value, (list, tuple)), secret)
        read = {index: self._parse(item, f"{self.at(key)}[{index}]", parse, None) for index, item in enumerate(items)}
        return {index: item for index, item in read.items() if item is not None}

    def values(self, key: str, parse: Callable[[Any, str], T], secret: bool = False) -> dict[str, T]:
        """The values of a mapping, each read by `parse(value, path)`, without the values that have faults."""
        read = {
            str(name): self._parse(value, below(self.at(key), name), parse, None)
            for name, value in self.mapping(key, secret).items()
        }
        return {name: value for name, value in read.items() if value is not None}

    def names(self, key: str) -> tuple[str, ...]:
        """The keys of a mapping, also those of values with faults."""
        value = self.raw(key)
        return tuple(map(str, value)) if isinstance(value, Mapping) else ()

    def _parse(self, data: Any, path: str, parse: Callable[[Any, str], T], default: Any) -> Any:
        try:
            return parse(data, path)
        except FleetError as error:
            self.faults.extend(error.faults)
            return default


def plain(value: Any) -> Any:
    """Parsed data in the form of an inventory, without None (not given). A dataclass whose form in an
    inventory differs has a method `plain`."""
    if hasattr(value, "plain"):
        return value.plain()
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _text(data: object, path: str) -> str:
    if isinstance(data, str) and data:
        return str(data)
    raise FleetError(f"{path}: expected text, got {show(data)}")

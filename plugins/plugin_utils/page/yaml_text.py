# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Edits of YAML as text: an edit of one value changes the lines of that value only.

Comments, order, quoting, vault values and templates elsewhere stay as they are, since nothing else is written again.
The parser is PyYAML, which Ansible reads inventories with, so both see the same data (YAML 1.1: `on` is true).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import below
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

Path = tuple[Union[str, int], ...]  # keys of mappings, which may be numbers, and indexes of lists, from the root
STRING, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
ANY_WIDTH = 1 << 30  # PyYAML breaks no line
STEP = 2  # spaces of further indentation, where a file has no example


@dataclass(frozen=True)
class Tagged:
    """A value with a tag of Ansible's, such as `!vault`: shown by its tag, compared by its text, never changed."""

    tag: str
    text: str


class _Loader(yaml.SafeLoader):
    """Reads tags that it does not know as Tagged."""


def _tagged(_loader: Any, tag: str, node: yaml.Node) -> Tagged:
    return Tagged(node.tag, node.value if isinstance(node, yaml.ScalarNode) else yaml.serialize(node))


_Loader.add_multi_constructor("!", _tagged)


def read(text: str) -> Any:
    """The data of a YAML text, None if it is empty. Raises FleetError with the line of a fault."""
    return _constructed(text, compose(text))


def compose(text: str) -> yaml.Node | None:
    """The root of the YAML text with the places of all values. Raises FleetError with the line of a fault."""
    try:
        return yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise FleetError(f"{where}expected YAML, got: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FleetError(f"expected YAML, got: {' '.join(str(error).split())}") from None


def edited(text: str, path: Path, value: Any) -> str:
    """The text with another value at `path`, a new one if nothing was there. Only what differs is written.

    A mapping is compared key by key, and a list entry by entry; entries are recognized by `name` or `alias`. So
    comments between the parts stay. Raises FleetError where text alone cannot express the edit (an alias, a merge key).
    """
    before = read(text)
    for step in _steps(_value_at(before, path), value, path):
        text = _put(text, step.path, step.value) if step.kept else _removed(text, step.path)
    _check(text, _with_value(before, path, value))
    return text


def removed(text: str, path: Path) -> str:
    """The text without the entry at `path`. A mapping or list that becomes empty stays, as `{}` or `[]`; of a file that
    becomes empty, the comments stay."""
    expected = _without(read(text), path)
    text = _removed(text, path)
    if expected or len(path) > 1 or read(text) is not None:
        _check(text, expected)
    return text


def lines_of(text: str, path: Path) -> range:
    """The lines of the entry at `path` with its key, from 0."""
    node, _parent, key = _find(text, path)
    start = (key or node).start_mark.line
    return range(start, text.count("\n", 0, _end(text, node)) + 1)


# What to do


class _Missing:
    pass


MISSING = _Missing()


@dataclass(frozen=True)
class _Step:
    """A value to write, or, if it is not kept, to remove."""

    path: Path
    value: Any
    kept: bool = True


def _steps(before: Any, after: Any, path: Path) -> Iterator[_Step]:
    """The smallest edits, in an order in which the indexes of lists stay right."""
    if before is not MISSING and _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before:
        for key in [key for key in before if key not in after]:
            yield _Step((*path, key), None, kept=False)
        for key, one in after.items():
            yield from _steps(before.get(key, MISSING), one, (*path, key))
        return
    if isinstance(before, list) and isinstance(after, list) and before and after:
        names, wanted = [_name(one) for one in before], [_name(one) for one in after]
        named = None not in names and None not in wanted and len({*wanted}) == len(wanted)
        gone = [index for index, name in enumerate(names) if name not in wanted] if named else []
        stay = [name for name in names if name in wanted]
        if named and wanted[: len(stay)] == stay and stay:
            # The entries that stay keep their order, and new ones follow.
            for index in reversed(gone):
                yield _Step((*path, index), None, kept=False)
            old = [one for one, name in zip(before, names) if name in wanted]
            for index, one in enumerate(after):
                yield from _steps(old[index] if index < len(old) else MISSING, one, (*path, index))
            return
        if len(before) == len(after) and not named:
            for index, (old_one, one) in enumerate(zip(before, after)):
                yield from _steps(old_one, one, (*path, index))
            return
    yield _Step(path, after)


def _name(entry: Any) -> Any:
    found = entry.get("name", entry.get("alias")) if isinstance(entry, Mapping) else None
    return found if isinstance(found, str) else None


def _same(one: Any, other: Any) -> bool:
    """As data of YAML: 1, 1.0 and true differ, another order of keys does not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


# Where it is


def _find(text: str, path: Path) -> tuple[yaml.Node, yaml.Node | None, yaml.Node | None]:
    """The value's node, the node of the collection that has it, and the node of its key in a mapping."""
    node, parent, key = compose(text), None, None
    for depth, part in enumerate(path):
        parent, key = node, None
        if isinstance(parent, yaml.MappingNode):
            found = [pair for pair in parent.value if _is_key(pair[0], part)]
            if not found:
                raise FleetError(f"{shown(path[: depth + 1])}: is not written here; it may come from a merge key (<<)")
            key, node = found[-1]
        elif isinstance(parent, yaml.SequenceNode) and isinstance(part, int) and part < len(parent.value):
            node = parent.value[part]
        else:
            raise FleetError(f"{shown(path[: depth + 1])}: expected an entry of a mapping or a list")
        if node.start_mark.index < (key.end_mark if key else parent.start_mark).index:
            raise FleetError(
                f"{shown(path[: depth + 1])}: is an alias of line {node.start_mark.line + 1}, where other places may "
                "use the value too; edit the file by hand"
            )
    if node is None:
        raise FleetError("the file has no YAML")
    return node, parent, key


def _is_key(node: yaml.Node, part: str | int) -> bool:
    if isinstance(part, str):
        return bool(node.value == part) and node.tag in (STRING, MERGE)
    return isinstance(node, yaml.ScalarNode) and node.tag != MERGE and _same(_constructed("", node), part)


def shown(path: Path) -> str:
    """`fleet_models[0].args`, as in the faults of an inventory."""
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) else below(text, part)
    return text


def _value_at(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return data


def _end(text: str, node: yaml.Node) -> int:
    """The index after the last character of the value, without comments and blank lines that follow."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (last, last)
        return (
            max(_end(text, key), _end(text, value))
            if value.start_mark.index >= key.start_mark.index
            else _colon(text, key)
        )
    start, end = int(node.start_mark.index), node.end_mark.index
    return start + len(text[start:end].rstrip())


def _colon(text: str, key: yaml.Node) -> int:
    """The index after the colon of the key."""
    return text.index(":", key.end_mark.index) + 1


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    """The index of the line's end, before the line break."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _in_flow(text: str, node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


# Writing


def _put(text: str, path: Path, value: Any) -> str:
    """The text with the value at the path, whose parents are created where they are missing."""
    data = read(text)
    while path and _value_at(data, path[:-1]) in (MISSING, None):
        path, value = path[:-1], {path[-1]: value}
    root = compose(text)
    if not path and root and root.start_mark.index < root.end_mark.index:
        return _spliced(
            text, root.start_mark.index, _end(text, root), inline(value) if _is_inline(value) else _block(value, 0)
        )
    if not path:
        return f"{text.rstrip()}\n{_block(value, 0)}\n" if text.strip() else f"---\n{_block(value, 0)}\n"
    if _value_at(data, path) is MISSING:
        return _added(text, path, value)
    node, parent, key = _find(text, path)
    if _in_flow(text, parent):
        return _spliced(text, node.start_mark.index, _end(text, node), inline(value))
    start = _colon(text, key) if key else node.start_mark.index
    return _replaced_in_block(text, node, start, _column(parent), value, item=key is None)


def _replaced_in_block(text: str, node: yaml.Node, start: int, column: int, value: Any, *, item: bool) -> str:
    """start: after the colon of the key, or where the entry of a list begins."""
    end = _end(text, node)
    several = "\n" in text[start:end]
    if _is_inline(value):
        if several and node.start_mark.index >= start:
            first = _line_end(text, start)  # a comment behind the key stays
            if node.start_mark.index > first:
                return text[:start] + _gap(item) + inline(value) + text[start:first] + text[end:]
        if node.start_mark.index < node.end_mark.index:
            return _spliced(text, node.start_mark.index, end, inline(value, like=node))
        return _spliced(text, start, start, _gap(item) + inline(value))
    if item:
        return _spliced(text, start, end, _block(value, start - _line_start(text, start)).lstrip())
    indent = column + _offset(value, column, text, node)
    if isinstance(value, str):
        return _spliced(text, start, end, " " + _literal(value, column + STEP))
    if several and isinstance(node, yaml.CollectionNode) and not node.flow_style:
        return _spliced(text, _line_start(text, node.start_mark.index), end, _block(value, indent))
    stop = _line_end(text, end)
    kept = text[end:stop].rstrip()  # a comment behind the previous value
    return _spliced(text, start, stop, f"{kept}\n{_block(value, indent)}")


def _added(text: str, path: Path, value: Any) -> str:
    """The text with a new entry at the end of a mapping or list."""
    parent, _its_parent, _its_key = _find(text, path[:-1])
    key = path[-1]
    if not isinstance(parent, yaml.CollectionNode):
        raise FleetError(f"{shown(path[:-1])}: expected a mapping or a list, found a single value")
    entry = {key: value} if isinstance(parent, yaml.MappingNode) else [value]
    if not parent.value:  # {} or []
        return _put(text, path[:-1], entry)
    end = _end(text, parent)
    if parent.flow_style:
        last = text[: end - 1].rstrip()
        comma = "" if last.endswith(",") else ","
        return _spliced(text, len(last), len(last), f"{comma} {inline(entry)[1:-1]}")
    stop = _line_end(text, end)
    return _spliced(text, stop, stop, "\n" + _block(entry, _column(parent)))


def _removed(text: str, path: Path) -> str:
    node, parent, key = _find(text, path)
    start, end = (key or node).start_mark.index, _end(text, node)
    if parent is None or len(parent.value) == 1:
        if len(path) > 1 or key is None or _in_flow(text, parent):
            return _put(text, path[:-1], {} if key else [])
        return text[: _line_start(text, start)] + text[_line_end(text, end) + 1 :]
    if parent.flow_style:
        rest = text[end:].lstrip()
        if rest.startswith(","):
            return text[:start] + rest[1:].lstrip(" ")
        return _spliced(text, len(text[:start].rstrip()) - 1, end, "")
    if key is None:
        start = _dash(text, start, _column(parent))
    before = text[_line_start(text, start) : start]
    stop = _line_end(text, end)
    if before.strip():  # the first entry behind a dash: the next one moves there
        second = parent.value[1]
        following = second[0].start_mark.index if key else _dash(text, second.start_mark.index, _column(parent))
        return text[:start] + text[following:]
    return text[: _line_start(text, start)] + text[stop + 1 :]


def _dash(text: str, index: int, column: int) -> int:
    """The dash of the entry of a list that has this character. column: of the list's dashes."""
    start = _line_start(text, index)
    while text[start + column : start + column + 1] != "-" or text[start : start + column].strip(" -"):
        start = _line_start(text, start - 1)
    return start + column


def _column(node: yaml.Node | None) -> int:
    return int(node.start_mark.column) if node else 0


def _offset(value: Any, column: int, text: str, node: yaml.Node) -> int:
    """How much further a block under a key is indented: as it was, or as the file does it elsewhere."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.start_mark.column >= column:
        was_list, is_list = isinstance(node, yaml.SequenceNode), isinstance(value, list)
        if was_list == is_list:
            return int(node.start_mark.column) - column
    if not isinstance(value, list):
        return STEP
    return next((offset for offset in _list_offsets(compose(text))), STEP)


def _list_offsets(node: yaml.Node | None) -> Iterator[int]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.SequenceNode) and not value.flow_style and not node.flow_style:
                yield value.start_mark.column - key.start_mark.column
            yield from _list_offsets(value)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _list_offsets(one)


def _gap(item: bool) -> str:
    return "" if item else " "


def _spliced(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _is_inline(value: Any) -> bool:
    if isinstance(value, str):
        return "\n" not in value.rstrip("\n") or value.strip() == ""
    return not isinstance(value, (Mapping, list)) or not value or _is_short_list(value)


def _is_short_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(not isinstance(one, (Mapping, list)) for one in value)
        and len(inline(value)) < 80
    )


def inline(value: Any, like: yaml.Node | None = None) -> str:
    """One line. like: a previous scalar whose quotes a text keeps."""
    style = like.style if isinstance(like, yaml.ScalarNode) and isinstance(value, str) else None
    dumped = yaml.safe_dump(
        [value], default_flow_style=True, width=ANY_WIDTH, allow_unicode=True, sort_keys=False,
        default_style=style if style in ("'", '"') else None,
    )  # fmt: skip
    return str(dumped).rstrip("\n")[1:-1]


def _literal(value: str, column: int) -> str:
    """`|` and the indented lines of a text."""
    dumped: str = yaml.safe_dump(value, default_style="|", width=ANY_WIDTH, allow_unicode=True)
    head, _newline, body = dumped.rstrip("\n").partition("\n")
    return "\n".join([head, *(_indented(line, column - 2) for line in body.split("\n"))])


def _block(value: Any, column: int) -> str:
    """The lines of a mapping or list, each indented by so many spaces."""
    dumped = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, width=ANY_WIDTH, allow_unicode=True, sort_keys=False
    )
    return "\n".join(_indented(line, column) for line in dumped.rstrip("\n").split("\n"))


def _indented(line: str, column: int) -> str:
    return " " * column + line if line else line


class _Dumper(yaml.SafeDumper):
    """As most inventories are written: lists are indented, texts of several lines are literal."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value.strip() else None)


_Dumper.add_representer(str, _text)


# What was reached


def _check(text: str, expected: Any) -> None:
    try:
        found = read(text)
    except FleetError:
        found = MISSING
    if not _same(found, expected):
        raise FleetError("this edit would change other values too; edit the file by hand")


def _constructed(text: str, node: yaml.Node | None) -> Any:
    if node is None:
        return None
    loader = _Loader(text)
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise FleetError(f"{where}expected YAML, got: {error.problem}") from None
    except ValueError as error:  # a date of the 45th of May
        raise FleetError(f"expected YAML, got: {error}") from None
    finally:
        loader.dispose()


def _with_value(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    part, *rest = path
    if isinstance(part, int) and not isinstance(data, Mapping):
        items = list(data or ())
        old = items[part] if part < len(items) else None
        return [*items[:part], _with_value(old, tuple(rest), value), *items[part + 1 :]]
    return {**(data or {}), part: _with_value((data or {}).get(part), tuple(rest), value)}


def _without(data: Any, path: Path) -> Any:
    part, *rest = path
    if rest:
        return _with_value(data, (part,), _without(data[part], tuple(rest)))
    if isinstance(data, list) and isinstance(part, int):
        return [*data[:part], *data[part + 1 :]]
    return {key: value for key, value in data.items() if key != part}

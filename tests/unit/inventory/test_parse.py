"""Reading untyped data: values and messages."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields, below, clean_path, is_whole
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING
from hypothesis import given


def read(data: Any, reader: str, *arguments: Any, path: str = "here", **options: Any) -> Any:
    """The result of one reader for `data`."""
    with Fields(data, path) as fields:
        return getattr(fields, reader)(*arguments, **options)


def fault(data: Any, reader: str, *arguments: Any, path: str = "here", **options: Any) -> str:
    with pytest.raises(FleetError) as caught:
        read(data, reader, *arguments, path=path, **options)
    assert len(caught.value.faults) == 1
    return str(caught.value)


# Values in messages


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two", "'two'"),
        (2, "2"),
        (None, "None"),
        (True, "True"),
        ("a\nb", r"'a\nb'"),
        ([], "[]"),
        ([0, -1], "[0, -1]"),
        ([0, "1"], "a list"),
        ({"HF_TOKEN": "hf_0123456789"}, "a mapping"),
        ({}, "an empty mapping"),
    ],
)
def test_shows_values_as_a_person_writes_them(value: Any, shown: str) -> None:
    assert show(value) == shown


def test_shows_long_values_shortened() -> None:
    assert show("x" * 1000) == "'" + "x" * 76 + "..."


@pytest.mark.parametrize("value", ["sk-0123456789", b"sk-0123456789", ["sk-0123456789"], {"key": "sk-0123456789"}])
def test_shows_nothing_of_text_where_a_secret_is_expected(value: Any) -> None:
    assert "sk-" not in show(value, secret=True)


@given(ANYTHING)
def test_shows_anything_in_one_short_line(value: Any) -> None:
    shown = show(value)
    assert len(shown) <= 80
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("path", "key", "shown"),
    [
        ("fleet_cache", "path", "fleet_cache.path"),
        ("", "fleet_cache", "fleet_cache"),
        ("fleet_mig", 0, "fleet_mig.0"),
        ("here", "a b", "here.a b"),
        ("here", "", "here.''"),
        ("here", "a\nb", r"here.'a\nb'"),
        ("here", "\x1b[31m", r"here.'\x1b[31m'"),
        ("here", "x" * 1000, f"here.'{'x' * 76}..."),
    ],
)
def test_writes_the_path_of_a_value_in_one_line_whatever_its_key(path: str, key: Any, shown: str) -> None:
    assert below(path, key) == shown


# Suggestions


@pytest.mark.parametrize(
    ("word", "known", "suggested"),
    [
        ("soruce", ["source", "state"], "; did you mean 'source'?"),
        ("replica", ["recipe", "replicas"], "; did you mean 'replicas'?"),
        ("gpu", ["gpus", "mig", "cpu"], "; did you mean 'gpus'?"),
        ("zzz", ["source", "state"], ""),
        ("source", [], ""),
        ("", ["source"], ""),
    ],
)
def test_suggests_the_nearest_known_word_if_one_is_near(word: str, known: list[str], suggested: str) -> None:
    assert nearest(word, known) == suggested


# Whole numbers, paths


@pytest.mark.parametrize(
    ("value", "whole"), [(0, True), (7, True), (-1, False), (True, False), (1.0, False), ("1", False), (None, False)]
)
def test_knows_a_whole_number(value: Any, whole: bool) -> None:
    assert is_whole(value) is whole


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("/srv/models/", "/srv/models"),
        ("/srv//models", "/srv/models"),
        ("//srv/models", "/srv/models"),
        ("/srv/./models/../weights", "/srv/weights"),
        ("/", "/"),
    ],
)
def test_writes_paths_as_docker_reports_them(written: str, clean: str) -> None:
    assert clean_path(written) == clean


# One value


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        ("text", 7, "here.key: expected a line of text, got 7"),
        ("text", "", "here.key: expected a line of text, got ''"),
        ("text", "two\nlines", r"here.key: expected a line of text, got 'two\nlines'"),
        ("text", "a\0b", r"here.key: expected a line of text, got 'a\x00b'"),
        ("absolute_path", "/srv/a\0b", r"here.key: expected an absolute path without a colon, got '/srv/a\x00b'"),
        ("integer", "two", "here.key: expected a whole number of at least 0, got 'two'"),
        ("integer", -1, "here.key: expected a whole number of at least 0, got -1"),
        ("integer", 1.5, "here.key: expected a whole number of at least 0, got 1.5"),
        ("integer", True, "here.key: expected a whole number of at least 0, got True"),
        ("flag", "yes", "here.key: expected true or false, got 'yes', which is text: leave the quotes out"),
        ("flag", 1, "here.key: expected true or false, got 1"),
        ("absolute_path", "srv/models", "here.key: expected an absolute path without a colon, got 'srv/models'"),
        ("absolute_path", "/srv/a:b", "here.key: expected an absolute path without a colon, got '/srv/a:b'"),
        ("mapping", [1], "here.key: expected a mapping, got [1]"),
        ("texts", "ffmpeg", "here.key: expected a list, got 'ffmpeg'"),
        ("texts", {"a": "b"}, "here.key: expected a list, got a mapping"),
        ("texts", ["ffmpeg", 7], "here.key[1]: expected text, got 7"),
        ("texts", [""], "here.key[0]: expected text, got ''"),
    ],
)
def test_says_what_was_expected_and_what_was_found(reader: str, value: Any, message: str) -> None:
    assert fault({"key": value}, reader, "key") == message


@pytest.mark.parametrize(
    ("reader", "value", "result"),
    [
        ("text", "some text", "some text"),
        ("integer", 0, 0),
        ("flag", True, True),
        ("absolute_path", "/srv/models/", "/srv/models"),
        ("mapping", {"a": 1}, {"a": 1}),
        ("texts", ["a", "b"], ("a", "b")),
    ],
)
def test_gives_what_is_right(reader: str, value: Any, result: Any) -> None:
    assert read({"key": value}, reader, "key") == result


@pytest.mark.parametrize("data", [{}, {"key": None}])
@pytest.mark.parametrize(
    ("reader", "arguments", "result"),
    [
        ("text", ["key", "default"], "default"),
        ("integer", ["key", 3], 3),
        ("one_of", ["key", ("a", "b"), "b"], "b"),
        ("absolute_path", ["key", None], None),
        ("flag", ["key"], False),
        ("mapping", ["key"], {}),
        ("texts", ["key"], ()),
        ("nested", ["key", str, "default"], "default"),
        ("values", ["key", str], {}),
    ],
)
def test_takes_null_for_not_given(data: Any, reader: str, arguments: list[Any], result: Any) -> None:
    assert read(data, reader, *arguments) == result


@pytest.mark.parametrize("data", [{}, {"key": None}])
def test_says_what_belongs_where_something_is_missing(data: Any) -> None:
    assert fault(data, "integer", "key", at_least=1) == "here.key: missing; expected a whole number of at least 1"


def test_names_the_choices_then_the_nearest() -> None:
    assert (
        fault({"key": "stoped"}, "one_of", "key", ("running", "stopped"))
        == "here.key: expected one of running, stopped, got 'stoped'; did you mean 'stopped'?"
    )


def test_names_a_single_choice_without_calling_it_one_of() -> None:
    assert fault({"key": "acme"}, "one_of", "key", ("internal",)) == "here.key: expected internal, got 'acme'"


def test_takes_no_list_for_a_choice() -> None:
    assert fault({"key": ["a"]}, "one_of", "key", ("a", "b")) == "here.key: expected one of a, b, got a list"


# Whole mappings


def test_refuses_what_is_no_mapping() -> None:
    with pytest.raises(FleetError, match=r"^here: expected a mapping, got 'text'$"), Fields("text", "here"):
        pass


def test_refuses_unknown_keys_and_suggests_a_known_one() -> None:
    with pytest.raises(FleetError) as caught, Fields({"sorce": 1, "source": "x", "zzz": 2}, "here") as fields:
        fields.text("source")
    assert caught.value.faults == ("here.sorce: unknown key; did you mean 'source'?", "here.zzz: unknown key")


def test_knows_a_key_that_was_only_looked_at() -> None:
    with Fields({"key": {"a": object()}}, "here") as fields:
        assert fields.names("key") == ("a",)


def test_tells_all_faults_at_once_in_their_order() -> None:
    with (
        pytest.raises(FleetError) as caught,
        Fields({"a": -1, "b": {"c": 0, "d": 1}, "e": [7, "x"], "f": 1}, "") as fields,
    ):
        fields.integer("a")
        fields.nested("b", lambda data, path: Fields(data, path).__exit__(None, None, None), None)
        fields.texts("e")
    assert str(caught.value).splitlines() == [
        "a: expected a whole number of at least 0, got -1",
        "b.c: unknown key",
        "b.d: unknown key",
        "e[0]: expected text, got 7",
        "f: unknown key",
    ]


def test_an_error_of_another_kind_is_not_hidden_behind_faults() -> None:
    with pytest.raises(ZeroDivisionError), Fields({"unknown": 1}, "here"):
        raise ZeroDivisionError


def test_leaves_faulty_items_out_and_keeps_the_places_of_the_others() -> None:
    fields = Fields({"key": ["a", 0, "c"]}, "here")

    def text(item: Any, path: str) -> str:
        if isinstance(item, str):
            return item
        raise FleetError(f"{path}: no")

    assert fields.numbered("key", text) == {0: "a", 2: "c"}
    assert fields.faults == ["here.key[1]: no"]


def test_a_secret_mapping_shows_no_text_in_its_faults() -> None:
    with pytest.raises(FleetError) as caught, Fields({"name": ["sk-0123456789"]}, "here", secret=True) as fields:
        fields.text("name")
        fields.one_of("other", ("a", "b"), "a")
    assert str(caught.value) == "here.name: expected a line of text, got a list"


@given(ANYTHING)
def test_reading_anything_raises_nothing_but_fleet_errors(data: Any) -> None:
    try:
        with Fields(data, "") as fields:
            for key in list(data) if isinstance(data, dict) else ["key"]:
                fields.text(key, None)
                fields.integer(key, 0)
                fields.one_of(key, ("a", "b"), "a")
                fields.texts(key)
                fields.values(key, lambda value, _path: str(value))
    except FleetError as error:
        assert error.faults

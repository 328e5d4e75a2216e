"""What a request wants of a chat model beyond text: tool calls, JSON that fits a schema, images that it looks at.

Facts from vLLM 0.32's own source: `tools` without `tool_choice` is "auto", which needs --enable-auto-tool-choice and
--tool-call-parser, as a named tool or "required" needs the latter (openai/chat_completion/protocol.py,
renderers/online_renderer.py); a named tool ends with "stop", the others with "tool_calls"
(openai/chat_completion/serving.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .uploads import Refused

FIT = {"string": "made up", "integer": 1, "number": 0.5, "boolean": True, "null": None}


@dataclass(frozen=True)
class Call:
    name: str
    arguments: str
    end: str


def called_tool(request: dict[str, Any], auto: bool, parser: bool) -> Call | None:
    """The call that is the answer. auto, parser: whether the engine was started with these two options."""
    tools, choice = request.get("tools"), request.get("tool_choice")
    if tools == []:
        raise Refused(400, "`tools` must not be an empty array.")
    choice = "auto" if tools and "tool_choice" not in request else choice
    if choice in (None, "none"):
        return None
    if not tools:
        raise Refused(400, "When using `tool_choice`, `tools` must be set.")
    if choice == "auto" and not (auto and parser):
        raise Refused(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    if not parser:
        described = f'function "{named}"' if named else f'"{choice}"'
        raise Refused(400, f"tool_choice={described} requires --tool-call-parser to be set")
    if not named and choice not in ("auto", "required"):
        raise Refused(400, f"Invalid value for `tool_choice`: {choice}!")
    if choice == "auto" and request["messages"][-1].get("role") == "tool":
        return None
    functions = [tool["function"] for tool in tools if named in (None, tool["function"]["name"])]
    if not functions:
        raise Refused(400, "The tool specified in `tool_choice` does not match any of the specified `tools`")
    arguments = json.dumps(fitting(functions[0].get("parameters") or {}))
    return Call(functions[0]["name"], arguments, "stop" if named else "tool_calls")


def json_text(request: dict[str, Any]) -> str | None:
    """The JSON that response_format asks for, if it does."""
    wanted = request.get("response_format") or {}
    kind = wanted.get("type", "text")
    if kind == "json_object":
        return json.dumps({"answer": FIT["string"]})
    if kind == "json_schema":
        if not wanted.get("json_schema"):
            raise Refused(400, "When response_format type is 'json_schema', the 'json_schema' field must be provided.")
        return json.dumps(fitting(wanted["json_schema"].get("schema") or {}))
    if kind != "text":
        raise Refused(400, f"response_format.type: Input should be 'text', 'json_object' or 'json_schema', not {kind}")
    return None


def fitting(schema: dict[str, Any], whole: dict[str, Any] | None = None) -> Any:
    """A value that fits a JSON schema of the simple kinds; whole: the schema that `$ref` points into."""
    whole = whole or schema
    if reference := schema.get("$ref"):
        found: Any = whole
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return fitting(found, whole)
    if "const" in schema or schema.get("enum"):
        return schema.get("const", (schema.get("enum") or [None])[0])
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            return fitting(schema[several][0], whole)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: fitting(inner, whole) for name, inner in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [fitting(schema.get("items") or {"type": "string"}, whole)] * max(1, schema.get("minItems", 1))
    if kind not in FIT or "pattern" in schema:
        raise Refused(400, f"this stand-in makes no value that fits the schema {json.dumps(schema)}")
    return max(schema.get("minimum", FIT[kind]), FIT[kind]) if kind in ("integer", "number") else FIT[kind]


def seen(messages: list[Any]) -> str:
    """A sentence on the images among the messages, none for none. Raises Refused for one that is no image."""
    parts = [
        part
        for message in messages
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        for part in message["content"]
    ]
    images = [_image(part) for part in parts if isinstance(part, dict) and part.get("type") == "image_url"]
    return "".join(f"{len(image)} bytes, sha256 {hashlib.sha256(image).hexdigest()} . " for image in images)


def _image(part: dict[str, Any]) -> bytes:
    url = part["image_url"]["url"] if isinstance(part.get("image_url"), dict) else ""
    head, comma, data = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise Refused(400, "this stand-in looks at images in `data:image/…;base64,` URLs alone")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise Refused(400, "Failed to load image: the data is not base64") from None

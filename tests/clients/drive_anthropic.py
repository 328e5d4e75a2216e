"""Anthropic's own SDK for Python, through /v1/messages; its base URL has no /v1."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
from driver import (
    PNG,
    QUESTION,
    SCHEMA,
    TOOL,
    Target,
    drive,
    errors,
    fits,
    in_parts,
    retries,
)

IMAGE = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}


def client(target: Target, key: str = "good", **options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=target.url, api_key=target.keys[key], **{"max_retries": 0, **options})


def message(target: Target, model: str, content: Any, **options: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": content}]
    return {"model": target.models[model], "messages": asked, "max_tokens": 8, **options}


def ask(target: Target, key: str = "good", model: str = "chat", content: Any = QUESTION, **options: Any) -> Any:
    retried = options.pop("max_retries", 0)
    return client(target, key, max_retries=retried).messages.create(**message(target, model, content, **options))


def chat(target: Target) -> None:
    answer = ask(target)
    assert answer.content[0].text and answer.usage.output_tokens == 8, answer


def streaming(target: Target) -> None:
    with client(target).messages.stream(**message(target, "slow", QUESTION)) as stream:
        in_parts(stream.text_stream)


def tools(target: Target) -> None:
    tool = {"name": TOOL["name"], "description": TOOL["description"], "input_schema": SCHEMA}
    used = ask(target, tools=[tool], max_tokens=200).content[-1]
    assert used.type == "tool_use" and used.name == TOOL["name"], used
    fits(used.input)
    wanted = message(target, "chat", QUESTION, tools=[tool], tool_choice={"type": "any"}, max_tokens=200)
    with client(target).messages.stream(**wanted) as stream:
        fits(stream.get_final_message().content[-1].input)


def json_schema(target: Target) -> None:
    wanted = {"format": {"type": "json_schema", "schema": SCHEMA}}
    fits(ask(target, output_config=wanted, max_tokens=200).content[0].text)


def images_as_input(target: Target) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": IMAGE}]
    answer = ask(target, model="vision", content=parts)
    assert f"{len(PNG)} bytes" in answer.content[0].text, answer


def count_tokens(target: Target) -> None:
    asked = [{"role": "user", "content": QUESTION}]
    assert client(target).messages.count_tokens(model=target.models["chat"], messages=asked).input_tokens > 0


def model_list(target: Target) -> None:
    assert target.models["chat"] in {model.id for model in client(target).models.list()}


def one_model(target: Target) -> None:
    assert client(target).models.retrieve(target.models["chat"]).id == target.models["chat"]


def auth_token(target: Target) -> None:
    """The other way of this SDK: `Authorization: Bearer`, not `x-api-key`."""
    by_token = anthropic.Anthropic(base_url=target.url, auth_token=target.key, max_retries=0)
    assert by_token.messages.create(**message(target, "chat", QUESTION)).content[0].text


if __name__ == "__main__":
    drive(
        {
            "chat": chat,
            "streaming": streaming,
            "tools": tools,
            "JSON schema": json_schema,
            "images as input": images_as_input,
            "count of tokens": count_tokens,
            "list of models": model_list,
            "one model": one_model,
            "key as `auth_token`": auth_token,
            "retries": retries(lambda target: ask(target, model="down", max_retries=1)),
            **errors(ask),
        }
    )

"""LangChain: langchain-openai, and langchain-anthropic for a chat."""

from __future__ import annotations

import base64
from typing import Any

from driver import (
    DIMENSIONS,
    DOCUMENTS,
    PNG,
    QUESTION,
    TOOL,
    Target,
    drive,
    errors,
    fits,
    in_parts,
    retries,
)
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: int


def llm(target: Target, key: str = "good", model: str = "chat", **options: Any) -> ChatOpenAI:
    settings = {"max_tokens": 200, "max_retries": 0, **options}
    return ChatOpenAI(base_url=target.base, api_key=target.keys[key], model=target.models[model], **settings)


def ask(target: Target, key: str = "good", model: str = "chat", content: str = QUESTION, **options: Any) -> Any:
    return llm(target, key, model, **options).invoke(content)


def chat(target: Target) -> None:
    assert ask(target, max_tokens=8).content


def streaming(target: Target) -> None:
    in_parts(part.content for part in llm(target, model="slow", max_tokens=8).stream(QUESTION))


def tools(target: Target) -> None:
    calling = llm(target).bind_tools([{"type": "function", "function": TOOL}])
    (call,) = calling.invoke(QUESTION).tool_calls
    assert call["name"] == TOOL["name"]
    fits(call["args"])
    whole: Any = None
    for part in calling.stream(QUESTION):
        whole = part if whole is None else whole + part
    fits(whole.tool_calls[0]["args"])


def json_schema(target: Target) -> None:
    assert isinstance(llm(target).with_structured_output(Weather).invoke(QUESTION), Weather)


def images_as_input(target: Target) -> None:
    image = {"type": "image", "base64": base64.b64encode(PNG).decode(), "mime_type": "image/png"}
    asked = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}
    assert f"{len(PNG)} bytes" in llm(target, model="vision").invoke([asked]).content


def vectors(target: Target, **options: Any) -> OpenAIEmbeddings:
    """Without the last option it fetches a tokenizer of OpenAI from the internet, and sends tokens."""
    return OpenAIEmbeddings(
        base_url=target.base,
        api_key=target.key,
        model=target.models["embedding"],
        check_embedding_ctx_length=False,
        **options,
    )


def embeddings(target: Target) -> None:
    found = vectors(target).embed_documents(DOCUMENTS)
    assert len(found) == len(DOCUMENTS) and len(found[0]) > DIMENSIONS


def dimensions(target: Target) -> None:
    assert len(vectors(target, dimensions=DIMENSIONS).embed_query("Hi")) == DIMENSIONS


def by_anthropic(target: Target) -> None:
    anthropic = ChatAnthropic(base_url=target.url, api_key=target.key, model=target.models["chat"], max_tokens=8)
    assert anthropic.invoke(QUESTION).content


if __name__ == "__main__":
    drive(
        {
            "chat": chat,
            "streaming": streaming,
            "tools": tools,
            "JSON schema": json_schema,
            "images as input": images_as_input,
            "embeddings": embeddings,
            "embeddings with dimensions": dimensions,
            "chat by `ChatAnthropic`": by_anthropic,
            "retries": retries(lambda target: ask(target, model="down", max_retries=1)),
            **errors(ask),
        }
    )

"""LlamaIndex: its models for servers that are like OpenAI."""

from __future__ import annotations

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
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: int


def llm(target: Target, key: str = "good", model: str = "chat", **options: Any) -> OpenAILike:
    """The options go to the server as they are: LlamaIndex checks its own."""
    retried = options.pop("max_retries", 0)
    return OpenAILike(
        api_base=target.base,
        api_key=target.keys[key],
        model=target.models[model],
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=True,
        max_retries=retried,
        additional_kwargs={"max_tokens": 200, **options},
    )


def ask(target: Target, key: str = "good", model: str = "chat", content: str = QUESTION, **options: Any) -> Any:
    return llm(target, key, model, **options).chat([ChatMessage(content)])


def chat(target: Target) -> None:
    assert ask(target, max_tokens=8).message.content


def streaming(target: Target) -> None:
    in_parts(part.delta for part in llm(target, model="slow", max_tokens=8).stream_chat([ChatMessage(QUESTION)]))


def weather(city: str, degrees: int) -> str:
    return city


def tools(target: Target) -> None:
    tool = FunctionTool.from_defaults(weather)
    (call,) = llm(target).get_tool_calls_from_response(llm(target).chat_with_tools([tool], QUESTION))
    assert call.tool_name == TOOL["name"]
    fits(call.tool_kwargs)
    *_parts, last = llm(target).stream_chat_with_tools([tool], QUESTION)
    fits(llm(target).get_tool_calls_from_response(last)[0].tool_kwargs)


def json_schema(target: Target) -> None:
    assert isinstance(llm(target).structured_predict(Weather, PromptTemplate(QUESTION)), Weather)


def images_as_input(target: Target) -> None:
    asked = ChatMessage(blocks=[TextBlock(text="What is it?"), ImageBlock(image=PNG, image_mimetype="image/png")])
    assert f"{len(PNG)} bytes" in llm(target, model="vision").chat([asked]).message.content


def vectors(target: Target, **options: Any) -> OpenAILikeEmbedding:
    return OpenAILikeEmbedding(
        api_base=target.base, api_key=target.key, model_name=target.models["embedding"], max_retries=0, **options
    )


def embeddings(target: Target) -> None:
    found = vectors(target).get_text_embedding_batch(DOCUMENTS)
    assert len(found) == len(DOCUMENTS) and len(found[0]) > DIMENSIONS


def dimensions(target: Target) -> None:
    assert len(vectors(target, dimensions=DIMENSIONS).get_query_embedding("Hi")) == DIMENSIONS


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
            "retries": retries(lambda target: ask(target, model="down", max_retries=1)),
            **errors(ask),
        }
    )

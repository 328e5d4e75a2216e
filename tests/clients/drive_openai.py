"""OpenAI's own SDK for Python."""

from __future__ import annotations

import io
from typing import Any

import openai
from driver import (
    BEST,
    DIMENSIONS,
    DOCUMENTS,
    IMAGE_URL,
    PNG,
    QUESTION,
    SCHEMA,
    TOOL,
    Target,
    drive,
    errors,
    fits,
    in_parts,
    is_png,
    is_wave,
    recording,
    retries,
)

USER = [{"role": "user", "content": QUESTION}]


def client(target: Target, key: str = "good", **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=target.base, api_key=target.keys[key], **{"max_retries": 0, **options})


def ask(target: Target, key: str = "good", model: str = "chat", content: str = QUESTION, **options: Any) -> Any:
    retried = {"max_retries": options.pop("max_retries", 0)}
    return client(target, key, **retried).chat.completions.create(
        model=target.models[model], messages=[{"role": "user", "content": content}], **{"max_tokens": 8, **options}
    )


def chat(target: Target) -> None:
    answer = ask(target)
    assert answer.choices[0].message.content and answer.usage.completion_tokens == 8, answer


def streaming(target: Target) -> None:
    in_parts(part.choices and part.choices[0].delta.content for part in ask(target, model="slow", stream=True))


def tools(target: Target) -> None:
    tool = {"type": "function", "function": TOOL}
    call = ask(target, tools=[tool], max_tokens=200).choices[0].message.tool_calls[0]
    assert call.function.name == TOOL["name"]
    fits(call.function.arguments)
    required: Any = {"tools": [tool], "tool_choice": "required", "max_tokens": 200}
    with client(target).chat.completions.stream(model=target.models["chat"], messages=USER, **required) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls
    fits(streamed[0].function.arguments)


def json_schema(target: Target) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
    fits(ask(target, response_format=wanted, max_tokens=200).choices[0].message.content)


def images_as_input(target: Target) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    answer = ask(target, model="vision", content=parts)  # type: ignore[arg-type]
    assert f"{len(PNG)} bytes" in answer.choices[0].message.content, answer


def responses(target: Target) -> None:
    answer = client(target).responses.create(model=target.models["real"], input=QUESTION, max_output_tokens=16)
    assert answer.output_text, answer


def embeddings(target: Target) -> None:
    answer = client(target).embeddings.create(model=target.models["embedding"], input=DOCUMENTS)
    assert len(answer.data) == len(DOCUMENTS) and len(answer.data[0].embedding) > DIMENSIONS


def dimensions(target: Target) -> None:
    answer = client(target).embeddings.create(model=target.models["embedding"], input="Hi", dimensions=DIMENSIONS)
    assert len(answer.data[0].embedding) == DIMENSIONS


def transcribed(target: Target, **options: Any) -> Any:
    file = ("a.wav", recording())
    return client(target).audio.transcriptions.create(model=target.models["stt"], file=file, **options)


def transcription(target: Target) -> None:
    assert f"{len(recording())} bytes" in transcribed(target).text


def verbose(target: Target) -> None:
    answer = transcribed(target, response_format="verbose_json")
    assert answer.segments[0].text and answer.duration >= 1, answer


def streamed(target: Target) -> None:
    *deltas, done = transcribed(target, stream=True)
    assert done.type == "transcript.text.done" and f"{len(recording())} bytes" in done.text, done
    assert "".join(event.delta for event in deltas) == done.text


def plain_text(target: Target) -> None:
    answer = transcribed(target, response_format="text")
    assert isinstance(answer, str) and f"{len(recording())} bytes" in answer and "{" not in answer, answer


def speech(target: Target) -> None:
    answer = client(target).audio.speech.create(
        model=target.models["tts"], voice="alloy", input=QUESTION, response_format="wav"
    )
    is_wave(answer.read())


def images(target: Target) -> None:
    answer = client(target).images.generate(
        model=target.models["image"], prompt="a house", size="64x64", response_format="b64_json"
    )
    is_png(answer.data[0].b64_json)


def edits(target: Target) -> None:
    image = io.BytesIO(PNG)
    image.name = "a.png"
    answer = client(target).images.edit(model=target.models["image"], image=image, prompt="a red house", size="64x64")
    is_png(answer.data[0].b64_json)


def rerank(target: Target) -> None:
    """The SDK has no method for it, but sends what it has none for."""
    body = {"model": target.models["rerank"], "query": "weather in Oslo", "documents": DOCUMENTS}
    answer: Any = client(target).post("/rerank", cast_to=object, body=body)
    assert answer["results"][0]["index"] == BEST, answer


def model_list(target: Target) -> None:
    assert target.models["chat"] in {model.id for model in client(target).models.list()}


def one_model(target: Target) -> None:
    assert client(target).models.retrieve(target.models["chat"]).id == target.models["chat"]


def azure_header(target: Target) -> None:
    """As the SDK sends it to Azure, but by the paths of OpenAI."""
    azure = openai.AzureOpenAI(base_url=target.base, api_key=target.key, api_version="v1", max_retries=0)
    assert target.models["chat"] in {model.id for model in azure.models.list()}


if __name__ == "__main__":
    drive(
        {
            "chat": chat,
            "streaming": streaming,
            "tools": tools,
            "JSON schema": json_schema,
            "images as input": images_as_input,
            "responses": responses,
            "embeddings": embeddings,
            "embeddings with dimensions": dimensions,
            "transcription": transcription,
            "verbose transcription": verbose,
            "streamed transcription": streamed,
            "transcription as text": plain_text,
            "speech": speech,
            "images": images,
            "image edits": edits,
            "rerank": rerank,
            "list of models": model_list,
            "one model": one_model,
            "key in `api-key`": azure_header,
            "retries": retries(lambda target: ask(target, model="down", max_retries=1)),
            **errors(ask),
        }
    )

"""Every route of LiteLLM's own OpenAPI document, as requests for a model that the key does not give access to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# LiteLLM refuses these to a key of models. If it did not, they would end LiteLLM or remove the key.
LEFT_OUT = re.compile(r"/shutdown|/health/drain|/cache/flush|/key/(delete|block|regenerate|update)|/config/")
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Attempt:
    method: str
    path: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.body['model'] if self.body and 'model' in self.body else ''}".rstrip()


def attempts(document: dict[str, Any], own: str, other: str) -> Iterator[Attempt]:
    """own: the key's model. other: the model to reach, which the path, the query or the body names."""
    for path, operations in document["paths"].items():
        for method in (one for one in operations if one in METHODS and not LEFT_OUT.search(path)):
            for filled in dict.fromkeys(re.sub(r"\{[^}]+\}", name, path) for name in (other, f"vllm-{other}-1")):
                yield from _of_a_path(method.upper(), filled, own, other)


def _of_a_path(method: str, path: str, own: str, other: str) -> Iterator[Attempt]:
    asked = f"{path}?model={other}"
    if method in ("GET", "DELETE"):
        yield Attempt(method, asked)
        return
    yield Attempt(method, path, _body({"model": own}))
    yield Attempt(method, path, _body({"model": other}))
    yield Attempt(method, asked, _body({"model": own}))
    yield Attempt(method, asked, _body({}))


def _body(model: dict[str, str]) -> dict[str, Any]:
    """What any of the routes takes for a request."""
    return {
        "messages": [{"role": "user", "content": "Hi"}],
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        **dict.fromkeys(("prompt", "input", "query", "text"), "Hi"),
        "documents": ["Hi"],
        "voice": "alloy",
        "max_tokens": 3,
        **model,
    }


def spellings(path: str) -> Iterator[str]:
    """The path, as some servers read it too."""
    yield from (path, path.upper(), f"{path}/", f"/{path}", path.replace("/", "//"), f"/.{path}", f"/x/..{path}")
    yield from (path.replace("/", "%2f")[3:].join(("/", "")), path.replace("/v1", "/V1"), f"{path}%20", f"{path};x=y")

"""Images as vLLM-Omni makes them: one colour, which the prompt decides, and for an edit the images that were sent.

Facts from vLLM-Omni's docs/serving/image_generation_api.md and protocol/images.py: only `prompt` is
required; `n` from 1 to 10; `size` WIDTHxHEIGHT, any; b64_json by default, `file` answers with the
PNG itself, `url` is refused. Of an edit, from vLLM-Omni 0.30's entrypoints/openai/api_server.py: a form with
`prompt` and files `image` or `image[]`; b64_json alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import time
import zlib
from typing import Any

from .serving import Exchange
from .uploads import Refused, read_form

DEFAULT_SIZE = "1024x1024"
DEFAULT_STEPS = 16
LONGEST_SIDE = 8192


def generations(exchange: Exchange) -> None:
    request = exchange.read_json()
    prompt, count, kind = request.get("prompt"), request.get("n", 1), request.get("response_format", "b64_json")
    if not isinstance(prompt, str):
        raise Refused(400, "1 validation error:\n  prompt: Field required")
    if kind not in ("b64_json", "file") or (kind == "file" and count != 1):
        raise Refused(400, f"Only 'b64_json' or, for one image, 'file' response format is supported, got: {kind}")
    size, steps = request.get("size") or DEFAULT_SIZE, request.get("num_inference_steps") or DEFAULT_STEPS
    images = _made(exchange, prompt, count, size, int(steps))
    if kind == "file":
        exchange.send_whole(images[0], "image/png")
    else:
        exchange.send_json(_answer(images, size))


def edits(exchange: Exchange) -> None:
    form = read_form(exchange.body, exchange.headers)
    exchange.served(form.fields.get("model"))
    sent = [form.files[name] for name in ("image", "image[]") if name in form.files]
    prompt, count = form.fields.get("prompt"), form.fields.get("n", "1")
    if prompt is None:
        raise Refused(400, "1 validation error:\n  prompt: Field required")
    if form.fields.get("response_format", "b64_json") != "b64_json":
        raise Refused(400, "Only response_format 'b64_json' is supported now.")
    if not sent:
        raise Refused(422, "Field 'image' or 'url' is required")
    size = form.fields.get("size", "auto").replace("auto", DEFAULT_SIZE)
    steps = int(form.fields.get("num_inference_steps", DEFAULT_STEPS))
    prompt += "".join(image.sha256 for image in sent)
    exchange.send_json(_answer(_made(exchange, prompt, int(count) if count.isdigit() else 0, size, steps), size))


def _made(exchange: Exchange, prompt: str, count: Any, size: Any, steps: int) -> list[bytes]:
    if not isinstance(count, int) or not 1 <= count <= 10:
        raise Refused(400, "n: a whole number from 1 to 10 is needed")
    width, height = _sides(size)
    images = []
    with exchange.running(len(prompt.split())):
        for index in range(count):
            for _step in exchange.generate(range(steps)):
                pass
            images.append(png(f"{prompt}, {index}", width, height))
    return images


def _answer(images: list[bytes], size: str) -> dict[str, Any]:
    data = [{"b64_json": base64.b64encode(image).decode(), "url": None, "revised_prompt": None} for image in images]
    return {"created": int(time.time()), "data": data, "output_format": "png", "size": size}


def _sides(size: Any) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(size))
    if not match:
        raise Refused(400, f"Invalid size format: '{size}'. Expected format: 'WIDTHxHEIGHT' (e.g., '1024x1024').")
    width, height = int(match[1]), int(match[2])
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE):
        raise Refused(400, f"size: this stand-in makes images of up to {LONGEST_SIDE}x{LONGEST_SIDE}")
    return width, height


def png(prompt: str, width: int, height: int) -> bytes:
    """PNG Specification: 8-bit RGB, no interlace, every row with filter 0; a comment says who made it."""
    colour = hashlib.sha256(prompt.encode()).digest()[:3]
    row = b"\0" + colour * width
    pixels = zlib.compressobj(1)
    packed = b"".join([*(pixels.compress(row) for _row in range(height)), pixels.flush()])
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"tEXt", b"Comment\0made up by a stand-in that has no model"),
            _chunk(b"IDAT", packed),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""Everything that is not chat: embeddings, images, audio, moderations. Deterministic, tiny, valid. Pure but for the clock."""

import base64
import hashlib
import struct
import time
import zlib
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.call import Call
from orcestator.sandbox.dialects.chat import request_id
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.wire.script import Answer, json_answer, whole

DIMENSIONS = 64
MOST_DIMENSIONS = 4_096
MOST_IMAGES = 10
WAV_RATE = 8_000


def embeddings(call: Call) -> Answer:
    """A unit vector for each input, the same for the same text; ``dimensions`` and base64 as asked."""
    inputs = _inputs(call.body.get("input"))
    dimensions = call.body.get("dimensions") or DIMENSIONS
    if not isinstance(dimensions, int) or not 1 <= dimensions <= MOST_DIMENSIONS:
        raise Refused(400, f"The field 'dimensions' must be from 1 to {MOST_DIMENSIONS}.", param="dimensions")
    encode = _base64_floats if call.body.get("encoding_format") == "base64" else list[float]
    vectors = [encode(vector(text, dimensions)) for text in inputs]
    data = [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(vectors)]
    tokens = max(1, sum(map(len, inputs)) // 4)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _answer(call, {"object": "list", "data": data, "model": call.model.text, "usage": usage})


def vector(text: str, dimensions: int) -> list[float]:
    """The vector of a text, of length 1."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}h", digest)]
    length = sum(number * number for number in numbers) ** 0.5
    return [number / length for number in numbers]


def images(call: Call) -> Answer:
    """``n`` PNG images of one pixel, as base64 or as ``data:`` addresses."""
    _required_text(call, "prompt")
    count = call.body.get("n") or 1
    if not isinstance(count, int) or not 1 <= count <= MOST_IMAGES:
        raise Refused(400, f"The field 'n' must be from 1 to {MOST_IMAGES}.", param="n")
    picture = base64.b64encode(png()).decode()
    as_url = call.body.get("response_format") == "url"
    image = {"url": f"data:image/png;base64,{picture}"} if as_url else {"b64_json": picture}
    return _answer(call, {"created": int(time.time()), "data": [image] * count})


def png() -> bytes:
    """A PNG of one orange pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\x00\xff\x8c\x00")
    parts = (_png_part(b"IHDR", header), _png_part(b"IDAT", pixel), _png_part(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def speech(call: Call) -> Answer:
    """A tenth of a second of silence as WAV."""
    _required_text(call, "input")
    return whole(wav(), content_type="audio/wav", headers=(request_id(call),))


def wav() -> bytes:
    """A tenth of a second of silence, one channel of 16 bits."""
    sound = bytes(2 * WAV_RATE // 10)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, WAV_RATE, 2 * WAV_RATE, 2, 16)
    data = struct.pack("<4sI", b"data", len(sound)) + sound
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def transcriptions(call: Call) -> Answer:
    """The text of a sound: its size, in words, for want of ears."""
    size = call.body.get("file")
    if not isinstance(size, int):
        raise Refused(400, "The form has no field 'file' with a file in it.", param="file")
    text = call.settings.answer or f"A sound of {size} bytes."
    wanted = call.body.get("response_format", "json")
    if wanted == "text":
        return whole(text.encode(), content_type="text/plain; charset=utf-8")
    more = {"task": "transcribe", "language": "english", "duration": 0.1, "segments": []}
    return _answer(call, {"text": text} | (more if wanted == "verbose_json" else {}))


def moderations(call: Call) -> Answer:
    """Flags an input that contains the word "violence", and nothing else."""
    results = []
    for text in _inputs(call.body.get("input")):
        flagged = "violence" in text
        score = 0.99 if flagged else 0.01
        results.append(
            {"flagged": flagged, "categories": {"violence": flagged}, "category_scores": {"violence": score}}
        )
    return _answer(call, {"id": f"modr-{call.number}", "model": call.model.text, "results": results})


def _answer(call: Call, body: Json) -> Answer:
    return json_answer(body, headers=(request_id(call),))


def _inputs(value: Any) -> list[str]:
    """The texts of ``input``; a list of tokens counts as one text."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        return (
            [str(value)] if isinstance(value[0], int) else [one if isinstance(one, str) else str(one) for one in value]
        )
    raise Refused(400, "The field 'input' must be a text or a list that is not empty.", param="input")


def _required_text(call: Call, name: str) -> str:
    text = call.body.get(name)
    if not isinstance(text, str) or not text:
        raise Refused(400, f"The field '{name}' is missing or no text.", param=name)
    return text


def _base64_floats(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _png_part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

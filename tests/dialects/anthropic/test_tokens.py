"""The estimate of input tokens."""

import base64
from typing import Any

import pytest

from orcestator.dialects.anthropic.tokens import MOST_IMAGE_TOKENS, count_estimate


def png(width: int, height: int) -> bytes:
    """The head of a PNG of this size."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")


def gif(width: int, height: int) -> bytes:
    """The head of a GIF of this size."""
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG's size, behind some metadata."""
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"\xff\xd8\xff\xe0\x00\x10" + bytes(14) + b"\xff\xc0\x00\x11\x08" + size + bytes(10)


def counted(part: Any) -> int:
    """Tokens of a part, the message's own aside."""
    whole = {"messages": [{"role": "user", "content": [part]}]}
    return count_estimate(whole) - count_estimate({"messages": [{"role": "user", "content": []}]})


def image(data: bytes) -> Any:
    """An image part."""
    url = "data:image/x;base64," + base64.b64encode(data).decode()
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize("draw", [png, gif, jpeg])
@pytest.mark.parametrize(("width", "height", "tokens"), [(28, 28, 1), (29, 57, 6), (4000, 3000, MOST_IMAGE_TOKENS)])
def test_images_count_by_patches(draw: Any, width: int, height: int, tokens: int) -> None:
    """Of 28 by 28 pixels, up to a limit."""
    padded = draw(width, height) + bytes(3 - len(draw(width, height)) % 3)

    assert counted(image(padded)) == tokens


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"RIFFxxxx"])
def test_images_of_unknown_size_count_as_large(data: bytes) -> None:
    """As does one behind an address."""
    assert counted(image(data)) == MOST_IMAGE_TOKENS
    assert counted({"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}) == MOST_IMAGE_TOKENS


def test_everything_that_is_sent_counts() -> None:
    """Messages of every role, their calls, and tools."""
    said = {"messages": [{"role": "system", "content": "a" * 40}, {"role": "user", "content": "b" * 40}]}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "x" * 400}}

    base = count_estimate(said)

    assert base == 10 + 10 + 8
    assert count_estimate({**said, "tools": [{"type": "function", "function": {"name": "f" * 400}}]}) > base + 100
    assert count_estimate({"messages": [*said["messages"], {"role": "assistant", "tool_calls": [call]}]}) > base + 100


@pytest.mark.parametrize("call", [{}, {"messages": None}, {"messages": [7, {"content": 7}]}])
def test_garbage_counts_for_little(call: Any) -> None:
    """And breaks nothing."""
    assert count_estimate(call) <= 4

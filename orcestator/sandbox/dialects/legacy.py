"""The old text completions, streaming or not (OpenAI ``/v1/completions``, checked 2026-11). Pure but for the clock."""

import time
from collections.abc import Iterator
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.call import Call, nonce_of
from orcestator.sandbox.dialects.chat import choice_count, cut, request_id, streamed, words_said
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.wire.script import DONE, Answer, Step, event, json_answer


def answer(call: Call) -> Answer:
    """The whole answer; each prompt of a list gets its ``n`` choices. Raises ``Refused`` (400)."""
    texts = _prompts(call.body.get("prompt")) * choice_count(call.body)
    choices = [cut(call, words_said(call, text), nonce_of(text)) for text in texts]
    if call.streams:
        return streamed(call, _events(call, choices))
    return json_answer(_body(call, choices, texts), headers=(request_id(call),))


def _prompts(prompt: Any) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        return prompt if all(isinstance(one, str) for one in prompt) else [f"{len(prompt)} tokens"]
    raise Refused(400, "The field 'prompt' must be a text, a list of texts or a list of tokens.", param="prompt")


def _frame(call: Call) -> Json:
    number = call.number
    return {"id": f"cmpl-{number}", "object": "text_completion", "created": int(time.time()), "model": call.model.text}


def _choice(index: int, text: str, finish: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(choices: list[tuple[tuple[str, ...], str]], texts: list[str]) -> Json:
    prompt_tokens = max(1, sum(map(len, texts)) // 4)
    completion_tokens = sum(len(pieces) for pieces, _ in choices)
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


def _body(call: Call, choices: list[tuple[tuple[str, ...], str]], texts: list[str]) -> Json:
    whole = [_choice(index, "".join(pieces), finish) for index, (pieces, finish) in enumerate(choices)]
    return {**_frame(call), "choices": whole, "usage": _usage(choices, texts)}


def _events(call: Call, choices: list[tuple[tuple[str, ...], str]]) -> Iterator[Step]:
    frame = _frame(call)
    for index, (pieces, finish) in enumerate(choices):
        for piece in pieces:
            yield event({**frame, "choices": [_choice(index, piece, None)]})
        yield event({**frame, "choices": [_choice(index, "", finish)]})
    yield DONE

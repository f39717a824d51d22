"""Token usage: read what an upstream says, distrust it, estimate what it leaves out."""

from math import log
from typing import Any

from orcestator.json_text import Json
from orcestator.usage import Usage

BYTES_PER_TOKEN = 4
"""A usual figure for English text with byte-pair vocabularies; only used where an upstream reports nothing."""
LARGEST_COUNT = 100_000_000
PLAIN_FIELDS = 3
"""A report of as many fields tells the two counts and their sum, and no classes."""


_new = tuple.__new__
"""Makes a named tuple without a call of its class."""
_BESIDE = ("prompt_cache_hit_tokens", "cached_tokens", "server_tool_use", "num_search_queries")
"""What some tell at the top of the usage: DeepSeek, Moonshot; Anthropic's shape as OpenRouter has it, too; Perplexity."""


def read_usage(wire: Any) -> Usage | None:
    """The usage an upstream reports, or None when it is missing or impossible (negative, text, absurd)."""
    if not isinstance(wire, dict):
        return None
    prompt, completion = wire.get("prompt_tokens"), wire.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int or not min(prompt, completion) >= 0:
        prompt = _count(wire.get("prompt_tokens", wire.get("input_tokens")))
        completion = _count(wire.get("completion_tokens", wire.get("output_tokens", 0)))
        if prompt is None or completion is None:
            return None
    if max(prompt, completion) > LARGEST_COUNT:
        return None
    if len(wire) == PLAIN_FIELDS and "total_tokens" in wire:
        return _new(Usage, (prompt, completion, False, 0, 0, 0, 0, 0, 0, 0, 0))
    return detailed(prompt, completion, wire)


def detailed(prompt: int, completion: int, wire: Json) -> Usage:
    """So many tokens, in the classes that a report tells. No class is larger than what it is a part of."""
    read_of = wire.get("prompt_tokens_details") or wire.get("input_tokens_details")
    made_of = wire.get("completion_tokens_details") or wire.get("output_tokens_details")
    read: Any = None
    written = hour = heard = reasoned = spoken = searches = read
    if isinstance(read_of, dict):
        get = read_of.get
        read, written, hour = get("cached_tokens"), get("cache_write_tokens"), get("cache_write_1h_tokens")
        heard = get("audio_tokens")
    if isinstance(made_of, dict):
        reasoned, spoken = made_of.get("reasoning_tokens"), made_of.get("audio_tokens")
    if any(map(wire.get, _BESIDE)):
        read = read or wire.get("prompt_cache_hit_tokens") or wire.get("cached_tokens")
        tools = wire.get("server_tool_use")
        searches = tools.get("web_search_requests") if isinstance(tools, dict) else wire.get("num_search_queries")
    if not (read or written or hour or heard or reasoned or spoken or searches):
        return _new(Usage, (prompt, completion, False, 0, 0, 0, 0, 0, 0, 0, 0))
    read = min(_count(read) or 0, prompt)
    written = min(_count(written) or 0, prompt - read)
    hour = min(_count(hour) or 0, written)
    return Usage(
        prompt,
        completion,
        False,
        read,
        written - hour,
        hour,
        min(_count(reasoned) or 0, completion),
        min(_count(heard) or 0, prompt - read - written),
        min(_count(spoken) or 0, completion),
        0,
        _count(searches) or 0,
    )


class UsageTally:
    """What a stream reports of its tokens, one or many times. No answer counts for less than was ever told of it.

    Reports are cumulative in every API that documents them (OpenAI's one at the end, vLLM's and xAI's in every chunk,
    Gemini's and Anthropic's), and then the largest is the answer's. Some gateways tell instead what each chunk added. The
    signs of that: more was said, and yet the count fell, or did not grow again and again. Only then they are added up.
    """

    __slots__ = ("_fell", "_grew", "_largest", "_last", "_progress", "_prompt", "_rest", "_stood", "_sum")

    def __init__(self) -> None:
        self._prompt = self._largest = self._last = self._sum = 0
        self._grew = self._stood = self._fell = 0
        self._progress = -1
        self._rest: Json = {}

    def take(self, wire: Any, progress: int) -> None:
        """Note a report, if it is one. ``progress`` grows with everything that was said."""
        told = read_usage(wire)
        if told is None:
            return
        completion = told.completion_tokens
        said_more = progress > self._progress
        if said_more and self._progress >= 0:
            self._grew += completion > self._last
            self._stood += completion == self._last
            self._fell += completion < self._last
        if said_more:
            self._sum += completion
        else:
            # The same told twice is told once; a total after the parts stands for all of them.
            self._sum = max(self._sum, completion)
        if told.prompt_tokens + completion >= self._prompt + self._largest or not self._rest:
            self._rest = wire
        self._prompt, self._largest = max(self._prompt, told.prompt_tokens), max(self._largest, completion)
        self._last, self._progress = completion, progress

    def told(self, completion_chars: int, deltas: int) -> tuple[Usage, Json] | None:
        """The answer's usage and the report that has its details, or None when nothing usable was reported.

        How much came, in characters and in pieces, tells what is likely.
        """
        if self._progress < 0:
            return None
        if self._is_in_parts(max(1, deltas, completion_chars / BYTES_PER_TOKEN)):
            return Usage(self._prompt, self._sum), {}
        rest = self._rest
        usage = detailed(self._prompt, self._largest, rest)
        is_one_report = read_usage(rest) == usage
        return usage, rest if is_one_report else {name: rest[name] for name in rest if name != "total_tokens"}

    def so_far(self, prompt_bytes: int, completion_chars: int, deltas: int) -> Usage:
        """The usage of an answer that broke: what was told by then, and an estimate of what came after the last report."""
        guess, reported = estimate(prompt_bytes, completion_chars), self.told(completion_chars, deltas)
        if reported is None:
            return guess
        told = reported[0]
        if self._progress == deltas or told.completion_tokens >= guess.completion_tokens:
            return told
        return told._replace(completion_tokens=guess.completion_tokens, tokens_estimated=True)

    def _is_in_parts(self, likely: float) -> bool:
        if self._fell:
            return 2 * self._fell + self._stood >= self._grew
        if self._stood < 2 or self._stood < self._grew or not self._largest:
            return False
        # A count that only stands still may be one that comes late: which of the two is nearer to the text?
        return abs(log(self._sum / likely)) < abs(log(self._largest / likely))


def estimate(prompt_bytes: int, completion_chars: int) -> Usage:
    """A rough count, flagged as such; an answer with any text has at least one token."""
    return Usage(-(-prompt_bytes // BYTES_PER_TOKEN), -(-completion_chars // BYTES_PER_TOKEN), True)


def usage_body(usage: Usage, wire: Any = None) -> Json:
    """The OpenAI usage object: the upstream's own where it is whole, with the three numbers clients insist on."""
    body = dict(wire) if isinstance(wire, dict) and not usage.tokens_estimated else {}
    body["prompt_tokens"] = usage.prompt_tokens
    body["completion_tokens"] = usage.completion_tokens
    if _count(body.get("total_tokens")) is None:
        body["total_tokens"] = usage.prompt_tokens + usage.completion_tokens
    return body


def _count(value: object) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= LARGEST_COUNT else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= LARGEST_COUNT:
        return None
    return int(value)

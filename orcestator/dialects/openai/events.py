"""The events of an upstream's stream, read one by one: plain, with characters to mend, or in another dialect. No I/O.

What an event means for the answer is ``stream``'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orcestator.dialects.canonical import Reader
from orcestator.dialects.failures import error_in_answer, failure_in_event, unreadable
from orcestator.dialects.openai.tool_calls import OBJECT_ARGUMENTS
from orcestator.dialects.progress import is_progress
from orcestator.dialects.split_characters import CharacterJoiner
from orcestator.dialects.sse import LONGEST_EVENT_BYTES, LineSplitter, SseSplitter
from orcestator.dialects.tool_names import NO_ALIASES
from orcestator.errors import UpstreamBroken, UpstreamError
from orcestator.json_text import Forgiven, Json, dumps, loads, loads_event, loads_forgiving

_WORKER_FAILURE = b'{"error":{"'


class StreamTerms(NamedTuple):
    """What the caller asked of this stream. ``text_cap`` is in characters: how much text the log keeps.

    ``custom_tools`` names those that the upstream was given as functions, ``tool_names`` the tool of every alias.
    """

    provider: str
    shown_model: str
    include_usage: bool
    prompt_bytes: int
    created: int
    text_cap: int
    new_id: Callable[[str], str]
    custom_tools: frozenset[str] = frozenset()
    tool_names: Mapping[str, str] = NO_ALIASES
    longest_event: int = LONGEST_EVENT_BYTES


class Template(NamedTuple):
    """The bytes around the text of the last plain chunk: the next ones differ from it only in their text."""

    prefix: bytes
    suffix: bytes
    shown_prefix: bytes
    shown_suffix: bytes
    shortest: int
    is_content: bool


@dataclass(slots=True)
class EventReader(ABC):
    """Reads each event, and hands its meaning on."""

    terms: StreamTerms
    reader: Reader | None = None
    done: bool = field(default=False, init=False)
    moves: int = field(default=0, init=False)
    """Grows with every piece of content that was decoded, also where the caller is told of it later or never."""
    _splitter: SseSplitter | LineSplitter = field(init=False)
    _odd: Json | None = field(default=None, init=False)
    _split: CharacterJoiner | None = field(default=None, init=False)
    _like_last: Template | None = field(default=None, init=False)

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Every choice that began has finished."""

    @abstractmethod
    def _relay_plain(self, chunk: Json, data: bytes) -> bool:
        """Relay a plain chunk as it came. False when it is anything else."""

    @abstractmethod
    def _careful(self, chunk: Any) -> None:
        """Take any other chunk."""

    @abstractmethod
    def _say(self, content: str) -> None:
        """Take more text of choice 0."""

    @abstractmethod
    def _complete(self) -> None:
        """Take the upstream's word that the answer is whole."""

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]" or data.strip() == b"[DONE]":
            self._told_done()
            return
        try:
            if self._split is not None:
                self._mended(loads_forgiving(data))
            elif self.reader is not None:
                self._read(self.reader, data)
            else:
                chunk = loads_event(data)
                if type(chunk) is not dict or not self._relay_plain(chunk, data):
                    is_object = OBJECT_ARGUMENTS.search(data) is not None
                    self._careful(loads_event(data, exactly=True) if is_object else chunk)
        except Forgiven as odd:
            self._mended(odd.value)
        except ValueError:
            raise unreadable(self.terms.provider) from None

    def _mended(self, value: Any) -> None:
        """An event whose characters no strict reader takes, or the first one after such."""
        split = self._split or CharacterJoiner()
        whole = split.joined(value)
        self._split = split if split.is_waiting else None
        self._like_last = None
        self._whole_event(whole)

    def _whole_event(self, value: Any) -> None:
        try:
            if self.reader is not None:
                self._read(self.reader, dumps(value))
            else:
                self._careful(value)
        except ValueError:
            raise unreadable(self.terms.provider) from None

    def _read(self, reader: Reader, data: bytes) -> None:
        """An event of another dialect, by its meaning. A failure that our own worker tells is in OpenAI's."""
        if data.startswith(_WORKER_FAILURE):
            self._careful(loads_event(data))
        made = reader.read(data)
        if isinstance(made, str):
            self._say(made)
        elif made is None:
            self._complete()
        else:
            for chunk in made:
                self._careful(chunk)
            if not made and is_progress(loads(data)):
                self.moves += 1

    def _told_done(self) -> None:
        """``[DONE]``: in OpenAI's dialect the word that the answer is whole; others have a word of their own for that."""
        if self.reader is not None and not self.complete:
            raise self._ended_early()
        self._complete()

    def _named_error(self) -> None:
        """An event of the name ``error``: a failure, whatever its data is. Raises it."""
        data, self._splitter.error = self._splitter.error or b"", None
        if self.done:
            return
        try:
            told = loads(data)
        except ValueError:
            told = data.decode("utf-8", "replace")
        if self.reader is not None and isinstance(told, dict):
            self.reader.read(dumps(told))
        detail = failure_in_event(told) if isinstance(told, dict) else None
        raise error_in_answer(self.terms.provider, detail or told)

    def _ended_early(self) -> UpstreamError:
        """The failure of a stream that is over before its answer is whole."""
        if self._odd is not None:
            return error_in_answer(self.terms.provider, failure_in_event({**self._odd, "status": "failed"}))
        return UpstreamBroken(f"{self.terms.provider} ended the stream before the answer was whole.", cause="closed")

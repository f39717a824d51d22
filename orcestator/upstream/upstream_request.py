"""One attempt's request as it is said, which is also how its answer has to be read."""

from collections.abc import Mapping
from typing import NamedTuple

from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.openai.memory import Remember
from orcestator.dialects.tool_names import NO_ALIASES


class UpstreamRequest(NamedTuple):
    """What is sent, and what has to be known to read the answer."""

    path: str = ""
    """It follows the base URL."""
    body: bytes = b""
    dialect: UpstreamDialect | None = None
    """None is OpenAI's."""
    relays: bool = False
    """The answer goes to the caller as it comes."""
    dropped: tuple[str, ...] = ()
    """Names of what was left out."""
    remember: Remember | None = None
    """Takes what the upstream will want back."""
    custom_tools: frozenset[str] = frozenset()
    """The tools that take plain text and that the upstream was given as functions."""
    tool_names: Mapping[str, str] = NO_ALIASES
    """The caller's tool of every alias."""

    @property
    def spoken(self) -> str:
        """The dialect's name."""
        return "openai" if self.dialect is None else self.dialect.name


PLAIN = UpstreamRequest()
"""An answer in OpenAI's dialect, whoever asked for it."""

"""One attempt's request as it is said, which is also how its answer has to be read."""

from collections.abc import Mapping
from typing import NamedTuple

from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.openai.memory import Remember
from orcestator.dialects.tool_names import NO_ALIASES


class UpstreamRequest(NamedTuple):
    """``dialect`` None is OpenAI's; ``relays``: the answer goes to the caller as it comes.

    ``path`` follows the base URL; ``dropped`` names what was left out; ``remember`` takes what the upstream will want back;
    ``custom_tools`` names those that it was given as functions, ``tool_names`` the caller's tool of every alias.
    """

    path: str = ""
    body: bytes = b""
    dialect: UpstreamDialect | None = None
    relays: bool = False
    dropped: tuple[str, ...] = ()
    remember: Remember | None = None
    custom_tools: frozenset[str] = frozenset()
    tool_names: Mapping[str, str] = NO_ALIASES

    @property
    def spoken(self) -> str:
        """The dialect's name."""
        return "openai" if self.dialect is None else self.dialect.name


PLAIN = UpstreamRequest()
"""An answer in OpenAI's dialect, whoever asked for it."""

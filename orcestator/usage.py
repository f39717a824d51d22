"""What an answer used, in the classes that providers bill by. Pure; every room below the gateway knows it.

Where an upstream tells it in another way, its dialect's reader has made the canonical usage of it first
(``dialects/openai/usage.py`` reads that one).
"""

from typing import NamedTuple


class Usage(NamedTuple):
    """Tokens, pictures and searches of one answer: numbers only, and the first two are what nearly everybody asks for.

    The prompt has four disjoint classes: read from a cache, written to one for five minutes, written for an hour, and the rest
    (``input_tokens``). Reasoning and sound are parts of what they are read as.
    """

    prompt_tokens: int = 0
    """All that was read, cached or not."""
    completion_tokens: int = 0
    """All that was written, reasoning and sound too."""
    tokens_estimated: bool = False
    """The upstream's own numbers were missing or impossible, or the answer broke: these are a guess."""
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the completion."""
    audio_input_tokens: int = 0
    """Of the prompt, without what a cache had."""
    audio_output_tokens: int = 0
    """Of the completion."""
    images: int = 0
    """Pictures made."""
    searches: int = 0
    """Searches of the web that the provider made."""

    @property
    def input_tokens(self) -> int:
        """What of the prompt no cache had anything to do with."""
        return self.prompt_tokens - self.cache_read_tokens - self.cache_write_5m_tokens - self.cache_write_1h_tokens


NOTHING = Usage()
"""Nothing was asked of an upstream."""
UNTOLD = Usage(tokens_estimated=True)
"""Of an answer of which nothing can be counted, such as sound: nothing is known of it."""

"""The line that says what is being waited for."""

import asyncio
import io

from orcestator.doctor.progress import shown


class Terminal(io.StringIO):
    """Something that says it is a terminal, and tells when it was written to."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal
        self.written = asyncio.Event()

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def test_a_terminal_sees_what_is_left() -> None:
    """By name; the line is gone at the end."""

    async def wait() -> str:
        out = Terminal(is_terminal=True)
        async with shown("asking", ["openai", "groq"], out, after=0.0) as waiting:
            waiting.done("openai")
            await out.written.wait()
        return out.getvalue()

    assert asyncio.run(wait()) == "\r\x1b[Kasking: groq (0 s)\r\x1b[K"


def test_a_file_sees_nothing() -> None:
    """Nor does a pipe."""

    async def wait() -> str:
        out = Terminal(is_terminal=False)
        async with shown("asking", ["openai"], out, after=0.0) as waiting:
            waiting.done("openai")
            await asyncio.sleep(0)
        return out.getvalue()

    assert asyncio.run(wait()) == ""

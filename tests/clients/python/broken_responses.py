"""What pydantic-ai says of a stream of ``/v1/responses``: ``python broken_responses.py <address> <model>``.

It prints the text as it comes, and ends with whatever error the program is told.
"""

import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main(url: str, model: str) -> None:
    """One question."""
    provider = OpenAIProvider(base_url=f"{url}/v1", api_key="the-callers-own-key")
    agent = Agent(OpenAIResponsesModel(model, provider=provider))
    async with agent.run_stream("nonce:fig one two three") as result:
        async for piece in result.stream_text(delta=True, debounce_by=None):
            sys.stdout.write(piece)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

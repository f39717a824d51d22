"""The sandbox inside a cluster that has no other provider, or whose configuration asks for it."""

from orcestator.cluster.lifetime import Lifetime
from orcestator.sandbox.server import SandboxServer
from orcestator.sandbox.settings import SandboxSettings
from orcestator.settings import Settings


async def start_sandbox(settings: Settings, lifetime: Lifetime) -> Settings:
    """The newcomer's provider: a real HTTP server on a port of its own, in this process."""
    sandbox = SandboxSettings(
        ttft_seconds=settings.sandbox_ttft_seconds,
        tokens_per_second=settings.sandbox_tokens_per_second,
        answer=settings.sandbox_answer or None,
    )
    server = SandboxServer(sandbox)
    await server.start()
    lifetime.on_close(server.close)
    return settings.with_sandbox_at(server.base_url)

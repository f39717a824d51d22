"""The sandbox inside a cluster that has no other provider, or whose configuration asks for it."""

from orcestator.cluster.lifetime import Lifetime
from orcestator.settings import Settings


class EmbeddedSandbox:
    """The newcomer's provider: a real HTTP server on a port of its own, in this process, started when it is first needed."""

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self._address = ""

    async def found_in(self, settings: Settings) -> Settings:
        """The settings with the sandbox's true address in them, where they have it without one."""
        if not settings.starts_sandbox:
            return settings
        if not self._address:
            self._address = await self._started(settings)
        return settings.with_sandbox_at(self._address)

    async def _started(self, settings: Settings) -> str:
        # A sixth of all that a program imports, and few want it.
        from orcestator.sandbox.server import SandboxServer  # noqa: PLC0415
        from orcestator.sandbox.settings import SandboxSettings  # noqa: PLC0415

        server = SandboxServer(
            SandboxSettings(
                ttft_seconds=settings.sandbox_ttft_seconds,
                tokens_per_second=settings.sandbox_tokens_per_second,
                answer=settings.sandbox_answer or None,
            )
        )
        await server.start()
        self._lifetime.on_close(server.close)
        return server.base_url

"""The sandbox as a program of its own, and inside a cluster that has no other provider."""

from collections.abc import Callable

from orcestator.cluster.lifetime import Lifetime
from orcestator.errors import StartupProblem
from orcestator.sandbox.server import SandboxServer
from orcestator.sandbox.settings import SandboxSettings
from orcestator.settings import Settings


async def run_sandbox(sandbox: SandboxSettings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until a signal. Raises StartupProblem when the port cannot be had."""
    lifetime = Lifetime()
    lifetime.stopping.install()
    try:
        server = await _started(SandboxServer(sandbox, host=host, port=port), lifetime)
        announce(
            f"orcestator sandbox speaks the OpenAI dialect at {server.base_url}\n"
            f"models: {server.base_url}/models   faults: model fault:ID   log: http://{host}:{server.port}/sandbox/log\n"
        )
        await lifetime.wait()
    finally:
        await lifetime.close()


async def start_sandbox(settings: Settings, lifetime: Lifetime) -> Settings:
    """The newcomer's provider: a real HTTP server on a port of its own, in this process."""
    sandbox = SandboxSettings(
        ttft_seconds=settings.sandbox_ttft_seconds,
        tokens_per_second=settings.sandbox_tokens_per_second,
        answer=settings.sandbox_answer or None,
    )
    server = await _started(SandboxServer(sandbox, host="127.0.0.1", port=0), lifetime)
    return settings.with_sandbox_at(server.base_url)


async def _started(server: SandboxServer, lifetime: Lifetime) -> SandboxServer:
    try:
        await server.start()
    except OSError as problem:
        raise StartupProblem(
            f"The sandbox cannot listen on {server.host}:{server.port}: {problem.strerror}. Choose another --port."
        ) from problem
    lifetime.on_close(server.close)
    return server

"""The command ``orcestator sandbox``: its arguments, and the run. It speaks every upstream dialect on one port."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from orcestator.errors import StartupProblem

if TYPE_CHECKING:
    from orcestator.sandbox.server import SandboxServer

DEFAULT_PORT = 9100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on; 0 takes a free one")
    parser.add_argument("--ttft", type=float, default=0.0, metavar="SECONDS", help="time to first token")
    parser.add_argument("--tps", type=float, default=0.0, metavar="N", help="tokens per second; 0: as fast as possible")
    parser.add_argument("--answer", help="what it says; {text} stands for the caller's last words")
    parser.add_argument("--tokens", type=int, metavar="N", help="content chunks an answer; without it one a word")
    parser.add_argument(
        "--flaky", type=float, default=0.0, metavar="SHARE", help="share of requests that fail (0 to 1)"
    )
    parser.add_argument("--slow", type=float, default=0.0, metavar="SHARE", help="share of answers that come late")
    parser.add_argument("--slow-seconds", type=float, default=2.0, metavar="SECONDS", help="how late those are")
    parser.add_argument("--down", default="", metavar="SPELLS", help="when nothing works: requests 3-5, or 20s-40s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which of the requests these are")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate (PEM): speak TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's key (PEM)")
    parser.add_argument("--stall-handshake", action="store_true", help="accept connections and never say a word")


def run(arguments: argparse.Namespace, _say: Callable[[str], None]) -> None:
    """Serve until interrupted. Raises ``StartupProblem`` for arguments, files or a port that cannot be used."""
    # Here and not above: the command line lists these arguments without paying for the server.
    import asyncio  # noqa: PLC0415

    try:
        asyncio.run(_serve(arguments))
    except (ValueError, OSError) as problem:
        raise StartupProblem(f"The sandbox cannot start: {problem}") from None
    except KeyboardInterrupt:
        return


async def _serve(arguments: argparse.Namespace) -> None:
    from orcestator.sandbox.faults.moods import read_spells  # noqa: PLC0415
    from orcestator.sandbox.server import serve_forever, tls_context  # noqa: PLC0415
    from orcestator.sandbox.settings import SandboxSettings  # noqa: PLC0415

    settings = SandboxSettings(
        ttft_seconds=arguments.ttft,
        tokens_per_second=arguments.tps,
        answer=arguments.answer,
        tokens=arguments.tokens,
        stall_handshake=arguments.stall_handshake,
        flaky=arguments.flaky,
        slow=arguments.slow,
        slow_seconds=arguments.slow_seconds,
        down=read_spells(arguments.down),
        seed=arguments.seed,
    )
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        raise ValueError("--tls-cert and --tls-key need each other.")
    ssl = tls_context(arguments.tls_cert, arguments.tls_key) if arguments.tls_cert else None
    await serve_forever(settings, arguments.host, arguments.port, ssl=ssl, on_ready=_announce)


def _announce(server: "SandboxServer") -> None:
    sys.stderr.write(
        f"The sandbox answers at {server.base_url}; its log is at /sandbox/log.\n"
        f"Other dialects: Anthropic and Responses below {server.base_url}, Gemini below {server.root_url}/v1beta, "
        f"Yandex, Cohere and Ollama below {server.root_url}.\n"
    )

"""``python -m orcestator.api_server``: serves callers. It plans, tries, streams and records; in front of workers it holds no key."""

import argparse
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from orcestator.cli import add_supervised, guarded, parser_for, say, serve, set_only
from orcestator.explain.arguments import add_env_file


def main(argv: Sequence[str] | None = None) -> int:
    """Run an API server; the exit status."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = parser_for(
        "python -m orcestator.api_server", "The API server: OpenAI-compatible, in front of the cluster."
    )
    parser.add_argument("--host", help="address to listen on (OR_HOST, 0.0.0.0)")
    parser.add_argument("--port", type=int, help="port to listen on (OR_PORT, 8000)")
    parser.add_argument(
        "--controller", "--controller-address", default="http://localhost:21001", help="controller's address"
    )
    parser.add_argument("--metrics-port", type=int, help="port of the metrics (OR_METRICS_PORT, 8001); 0 for none")
    parser.add_argument("--listen-fd", type=int, help="serve on this open socket, which a supervisor shares out")
    parser.add_argument("--share-port", action="store_true", help="others of us listen on the same port, too (Linux)")
    parser.add_argument(
        "--replica",
        type=_part,
        metavar="K/N",
        help="call the providers from here, as the K-th of N that do: no workers",
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings (OR_CONFIG)")
    add_env_file(parser)
    add_supervised(parser)
    return parser


def _part(text: str) -> tuple[int, int]:
    """What ``--replica`` says. Raises ValueError."""
    number, processes = map(int, text.split("/"))
    return number, processes


def _run(arguments: argparse.Namespace) -> None:
    from orcestator.settings import Settings, load, when_still  # noqa: PLC0415

    overrides = set_only(host=arguments.host, port=arguments.port, metrics_port=arguments.metrics_port)

    def load_now(environ: Mapping[str, str] | None = None) -> Settings:
        return load(
            environ,
            config_path=arguments.config,
            dotenv_path=arguments.env_file,
            overrides=overrides,
            with_providers=arguments.replica is not None,
        )

    settings = load_now()

    def load_from(environ: Mapping[str, str] | None) -> Settings:
        return when_still(partial(load_now, environ), (settings.config, arguments.env_file))

    listener = partial(_listener, arguments, settings.host, settings.port)
    if arguments.replica is not None:
        from orcestator.cluster.replica import Part, run_replica  # noqa: PLC0415

        serve(run_replica(settings, arguments.controller, listener, load_from, Part(*arguments.replica)))
    else:
        from orcestator.cluster.split import run_api_server  # noqa: PLC0415

        serve(run_api_server(settings, arguments.controller, listener, say, load_from, supervised=arguments.supervised))


def _listener(arguments: argparse.Namespace, host: str, port: int) -> socket.socket:
    """The socket to serve on. Raises StartupProblem when it cannot be had."""
    from orcestator.server.serving import listen, reserve  # noqa: PLC0415

    if arguments.listen_fd is not None:
        return socket.socket(fileno=arguments.listen_fd)
    return reserve(host, port, "--port", shared=True) if arguments.share_port else listen(host, port, "--port")


if __name__ == "__main__":
    sys.exit(main())

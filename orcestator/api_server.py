"""``python -m orcestator.api_server``: the callers' door. It plans, tries, streams and records; it holds no key."""

import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from orcestator.cli import add_env_file, add_supervised, given, guarded, parser_for, say, serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run an API server; the exit status."""
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
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings (OR_CONFIG)")
    add_env_file(parser)
    add_supervised(parser)
    arguments = parser.parse_args(argv)

    def run() -> None:
        from orcestator.cluster.split import run_api_server  # noqa: PLC0415
        from orcestator.settings import Settings, load, when_still  # noqa: PLC0415

        overrides = given(host=arguments.host, port=arguments.port, metrics_port=arguments.metrics_port)

        def load_now(environ: Mapping[str, str] | None = None) -> Settings:
            return load(
                environ,
                config_path=arguments.config,
                dotenv_path=arguments.env_file,
                overrides=overrides,
                with_providers=False,
            )

        listener = None if arguments.listen_fd is None else socket.socket(fileno=arguments.listen_fd)
        settings = load_now()

        def load_from(environ: Mapping[str, str] | None) -> Settings:
            return when_still(partial(load_now, environ), (settings.config, arguments.env_file))

        serve(run_api_server(settings, arguments.controller, listener, say, load_from, supervised=arguments.supervised))

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())

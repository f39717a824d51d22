"""``python -m orcestator.proxy_worker``: holds a provider's key and makes attempts; registers at a controller."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from orcestator.cli import add_supervised, guarded, parser_for, say, serve, set_only
from orcestator.explain.arguments import add_env_file
from orcestator.routing.planning.catalog import DEFAULT_ALIAS

DEFAULT_PORT = 8002


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker; the exit status."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = parser_for(
        "python -m orcestator.proxy_worker", "A proxy worker: one provider's key, dialect and connections."
    )
    parser.add_argument("--model-id", default=DEFAULT_ALIAS, help=f"model name to register first ({DEFAULT_ALIAS})")
    parser.add_argument(
        "--controller", "--controller-address", default="http://localhost:21001", help="controller's address"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to listen on ({DEFAULT_PORT})")
    parser.add_argument("--worker-address", default="", help="address that others reach this worker by")
    parser.add_argument("--provider", help="serve this provider only (every one that has a key)")
    parser.add_argument("--config", metavar="FILE", help="YAML file with providers and models (OR_CONFIG)")
    add_env_file(parser)
    add_supervised(parser)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from orcestator.cluster.worker import Place, run_worker  # noqa: PLC0415
    from orcestator.settings import WITHHELD, Settings, load, when_still  # noqa: PLC0415

    def load_now(environ: Mapping[str, str] | None = None) -> Settings:
        return load(
            environ,
            config_path=arguments.config,
            dotenv_path=arguments.env_file,
            overrides=set_only(only_providers=[arguments.provider] if arguments.provider else None),
            withheld=WITHHELD,
        )

    settings = load_now()

    def load_from(environ: Mapping[str, str] | None) -> Settings:
        return when_still(partial(load_now, environ), (settings.config, arguments.env_file))

    place = Place(
        arguments.model_id, arguments.controller, arguments.host, arguments.port, arguments.worker_address,
        arguments.provider,
    )  # fmt: skip
    serve(run_worker(settings, place, say, load_from, supervised=arguments.supervised))


if __name__ == "__main__":
    sys.exit(main())

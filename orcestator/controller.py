"""``python -m orcestator.controller``: knows the workers. A superset of FastChat's controller on the same wire."""

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from orcestator.cli import add_supervised, guarded, parser_for, say, serve, set_only
from orcestator.explain.arguments import add_env_file
from orcestator.routing.planning.dispatch import DispatchMethod


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controller; the exit status."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = parser_for(
        "python -m orcestator.controller", "The controller: which workers there are, and what they offer."
    )
    parser.add_argument("--host", help="address to listen on (OR_CONTROLLER_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (OR_CONTROLLER_PORT, 21001)")
    parser.add_argument(
        "--dispatch-method",
        choices=get_args(DispatchMethod),
        help="how a worker is chosen for a stock API server (OR_DISPATCH_METHOD, shortest_queue)",
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings (OR_CONFIG)")
    parser.add_argument(
        "--insecure-open-registration",
        action="store_true",
        help="let anybody who reaches the port register a worker and receive prompts",
    )
    add_env_file(parser)
    add_supervised(parser)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from orcestator.cluster.split import run_controller  # noqa: PLC0415
    from orcestator.settings import WITHHELD, load  # noqa: PLC0415

    overrides = set_only(
        controller_host=arguments.host,
        controller_port=arguments.port,
        dispatch_method=arguments.dispatch_method,
        insecure_open_registration=arguments.insecure_open_registration or None,
    )
    settings = load(
        config_path=arguments.config,
        dotenv_path=arguments.env_file,
        overrides=overrides,
        with_providers=False,
        withheld=WITHHELD,
    )
    host, port = settings.controller_host, settings.controller_port
    serve(run_controller(settings, host, port, say, supervised=arguments.supervised))


if __name__ == "__main__":
    sys.exit(main())

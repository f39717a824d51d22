"""``python -m orcestator.controller``: knows the workers. A superset of FastChat's controller on the same wire."""

import sys
from collections.abc import Sequence
from typing import get_args

from orcestator.cli import add_env_file, add_supervised, given, guarded, parser_for, say, serve
from orcestator.routing.planning.dispatch import DispatchMethod


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controller; the exit status."""
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
    arguments = parser.parse_args(argv)

    def run() -> None:
        from orcestator.cluster.split import run_controller  # noqa: PLC0415
        from orcestator.settings import WITHHELD, load  # noqa: PLC0415

        overrides = given(
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
        serve(
            run_controller(
                settings, settings.controller_host, settings.controller_port, say, supervised=arguments.supervised
            )
        )

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())

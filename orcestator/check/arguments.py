"""The flags of ``orcestator check`` and ``orcestator reload``. Apart from what they run, so that help is quick."""

import argparse

from orcestator.explain.arguments import add_env_file, add_token_arguments

HAS_CHANGES = 3
USUAL_REQUESTS = 500
AT_SETTINGS = "running"
"""What ``--against-running`` means without an address: the server that these settings would start."""


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``check``."""
    add_env_file(parser)
    parser.add_argument("--config", metavar="FILE", help="YAML file with providers, models and settings (OR_CONFIG)")
    parser.add_argument(
        "--against-running",
        nargs="?",
        const=AT_SETTINGS,
        metavar="URL",
        help="also say what would change on the running server (http://127.0.0.1 and the configured port)",
    )
    parser.add_argument(
        "--requests",
        nargs="?",
        type=int,
        const=USUAL_REQUESTS,
        metavar="N",
        help=f"also say where the last N requests there ({USUAL_REQUESTS}) would go after a reload",
    )
    add_token_arguments(parser)
    parser.add_argument("--exit-code", action="store_true", help=f"status {HAS_CHANGES} when something would change")


def add_reload_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``reload``."""
    add_env_file(parser)
    parser.add_argument("--config", metavar="FILE", help="YAML file that says where the server is (OR_CONFIG)")
    parser.add_argument("--url", help="where the server is (http://127.0.0.1 and the configured port)")
    add_token_arguments(parser)

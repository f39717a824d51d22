"""The flags of ``orcestator explain``. Apart from the run, which takes half a second to import: help needs only this."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments: a request id for what was decided, or a model (with a prompt or a body) for what would be."""
    parser.add_argument(
        "request_id", nargs="?", metavar="REQUEST_ID", help="a past request's x-request-id, or the id of its record"
    )
    parser.add_argument("--model", metavar="NAME", help="a model, to see where a request for it would go")
    parser.add_argument("--prompt", metavar="TEXT", help="what that request would say")
    parser.add_argument("--body", metavar="FILE", help="a file with the whole request as JSON")
    parser.add_argument("--url", help="where the server is (http://127.0.0.1 and the configured port)")
    add_token_arguments(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def add_token_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags for the admin token."""
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="a file with the admin token, - for standard input (OR_ADMIN_TOKEN, else the one that a server here keeps)",
    )
    parser.add_argument(
        "--token", help="the admin token itself: others on this machine see it in the list of processes"
    )


def add_env_file(parser: argparse.ArgumentParser) -> None:
    """The flag for another ``.env``."""
    parser.add_argument("--env-file", default=".env", metavar="FILE", help="file with variables (.env); '' for none")

"""The flags of ``orcestator doctor``. Apart from the run, so that help is quick."""

import argparse

from orcestator.explain.arguments import add_env_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments: what to look at, and whom to call."""
    parser.add_argument("--config", metavar="FILE", help="YAML file with providers, models and settings (OR_CONFIG)")
    add_env_file(parser)
    parser.add_argument("--probe", action="store_true", help="also call every provider; this costs a few tokens")
    parser.add_argument(
        "--model", nargs="+", action="extend", metavar="NAME", help="models to probe, as provider/model"
    )
    parser.add_argument("--json", action="store_true", help="for machines")

"""The flags of ``orcestator simulate``. Apart from what they run, so that help is quick."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="scenarios by name, or YAML files")
    parser.add_argument("--all", action="store_true", help="all scenarios that come with orcestator")
    parser.add_argument("--list", action="store_true", help="what scenarios and strategies there are")
    parser.add_argument(
        "--strategy",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="strategies to try (adaptive, or that of --config)",
    )
    parser.add_argument("--all-strategies", action="store_true", help="all strategies")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same figures (1)")
    parser.add_argument(
        "--seeds",
        metavar="FIRST-LAST",
        help="every seed of these: the worst and the middle of the figures, a line for each",
    )
    parser.add_argument("--requests", type=int, metavar="N", help="no more than the first N requests of each")
    parser.add_argument("--replay", metavar="FILE", help="a recorded traffic log in place of a scenario")
    parser.add_argument("--config", metavar="FILE", help="YAML file: its routing settings are simulated")
    parser.add_argument(
        "--plot", metavar="FILE", help="write an SVG; with several scenarios, one for each, their names added"
    )
    parser.add_argument("--json", action="store_true", help="for machines")

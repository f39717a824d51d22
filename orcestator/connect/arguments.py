"""The flags of ``orcestator connect``. Apart from the run, so that help is quick."""

import argparse

CLIENT_NAMES = (
    *("vscode", "copilot-cli", "codex", "claude-code", "opencode", "continue", "cline", "aider", "zed", "gemini-cli"),
    *("llm", "n8n"),
)
"""What ``connect`` knows; a test holds it to the registry, which is too much to import for a word of help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments: a client, and what to write for it."""
    parser.add_argument("client", choices=CLIENT_NAMES, metavar="CLIENT", help=", ".join(CLIENT_NAMES))
    parser.add_argument("--url", help="where the server is (http://localhost and the configured port)")
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="a file with a caller key, - for standard input, if the server asks for one (ORCESTATOR_API_KEY)",
    )
    parser.add_argument("--key", help="the caller key itself: others on this machine see it in the list of processes")
    parser.add_argument(
        "--model", nargs="+", action="extend", metavar="NAME", help="models to configure; * stands for anything"
    )
    parser.add_argument("--write", action="store_true", help="merge it into the client's file, after a backup")
    parser.add_argument("--file", metavar="PATH", help="the client's file, if it is not in its usual place")

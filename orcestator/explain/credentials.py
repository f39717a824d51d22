"""By what a command of ours is let in at a running server: the admin token, or the one that a server of this account keeps."""

import argparse

from orcestator.server.local_names import host_name, is_loopback
from orcestator.settings.management_token import kept_token
from orcestator.settings.secret_file import secret_in


def token_for(arguments: argparse.Namespace, url: str, configured: str, state_dir: str) -> str:
    """The token to send to ``url``, "" for none. The kept one goes to this machine alone. Raises StartupProblem."""
    if arguments.token_file is not None:
        return secret_in(arguments.token_file, "--token-file")
    if arguments.token or configured:
        return arguments.token or configured
    host = host_name(url)
    kept = kept_token(state_dir) if host == "localhost" or is_loopback(host) else None
    return kept.reveal() if kept else ""

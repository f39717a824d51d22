"""The command line. Each command is a few lines over the parts; heavy imports wait until a command needs them."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from orcestator import __version__
from orcestator.errors import StartupProblem
from orcestator.sandbox import command

COULD_NOT_START = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    return guarded(lambda: arguments.run(arguments))


def guarded(run: Any) -> int:
    """Run a program; a problem at the start is one sentence on standard error and status 2."""
    try:
        run()
    except StartupProblem as problem:
        if problem.message:
            # Without one, a program that was started for us has said it already.
            sys.stderr.write(f"orcestator: {problem.message}\n")
        return COULD_NOT_START
    except KeyboardInterrupt:
        return 130
    return 0


def say(text: str) -> None:
    """Print for people, at once, also into a pipe; a terminal that lacks a character gets a question mark for it."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def serve(coroutine: Any) -> None:
    """Run a program's coroutine on the fastest event loop there is."""
    import asyncio  # noqa: PLC0415 - help and errors need no event loop

    if sys.platform != "win32":
        try:
            import uvloop  # noqa: PLC0415
        except ImportError:
            pass
        else:
            uvloop.run(coroutine)
            return
    asyncio.run(coroutine)


class _Parser(argparse.ArgumentParser):
    """Errors in the shape of all our errors: one sentence, status 2. A flag is its whole name: scripts outlive flags."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"orcestator: {message}. Try: {self.prog} --help\n")
        sys.exit(COULD_NOT_START)


def parser_for(program: str, description: str) -> argparse.ArgumentParser:
    """An argument parser in our voice."""
    return _Parser(prog=program, description=description)


def _parser() -> argparse.ArgumentParser:
    parser = parser_for(
        "orcestator", "One OpenAI-compatible door on localhost for every LLM provider you have a key to."
    )
    parser.add_argument("--version", action="version", version=f"orcestator {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_up(commands)
    _add_sandbox(commands)
    return parser


def _add_up(commands: Any) -> None:
    up = commands.add_parser(
        "up", help="start the cluster", description="Start the cluster: in this process, or with --processes split."
    )
    up.add_argument("--config", metavar="FILE", help="YAML file with providers, models and settings (OR_CONFIG)")
    add_env_file(up)
    up.add_argument("--host", help="address to listen on (OR_HOST, 0.0.0.0)")
    up.add_argument("--port", type=int, help="port to listen on (OR_PORT, 8000)")
    up.add_argument("--processes", action="store_true", help="controller, one worker a provider and API servers apart")
    up.add_argument("--api-workers", type=int, metavar="N", help="API servers with --processes (OR_API_WORKERS, 1)")
    up.set_defaults(run=_run_up)


def _run_up(arguments: argparse.Namespace) -> None:
    from orcestator.settings import load  # noqa: PLC0415

    settings = load(
        config_path=arguments.config,
        dotenv_path=arguments.env_file,
        overrides=given(host=arguments.host, port=arguments.port, api_workers=arguments.api_workers),
    )
    if arguments.processes:
        from orcestator.cluster.supervisor import run_supervised  # noqa: PLC0415

        serve(run_supervised(settings, arguments.config, arguments.env_file, say))
    else:
        from orcestator.cluster.embedded import run_embedded  # noqa: PLC0415

        if arguments.api_workers not in (None, 1):
            raise StartupProblem("--api-workers needs --processes: one process has one API server.")
        serve(run_embedded(settings, say))


def add_env_file(parser: argparse.ArgumentParser) -> None:
    """The flag for another ``.env``."""
    parser.add_argument("--env-file", default=".env", metavar="FILE", help="file with variables (.env); '' for none")


def add_supervised(parser: argparse.ArgumentParser) -> None:
    """The flag by which ``orcestator up --processes`` starts its children."""
    parser.add_argument(
        "--supervised", action="store_true", help="end when standard input closes, which a supervisor holds open"
    )


def _add_sandbox(commands: Any) -> None:
    sandbox = commands.add_parser(
        "sandbox",
        help="start the built-in provider, which fails on command",
        description="A real HTTP server in the OpenAI dialect for first steps and tests; model fault:ID gives each fault.",
    )
    command.add_arguments(sandbox)
    sandbox.set_defaults(run=command.run)


def given(**values: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in values.items() if value is not None}

"""The command line. Each command is a few lines over the parts; heavy imports wait until a command needs them."""

import argparse
import errno
import gc
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from orcestator import __version__
from orcestator.check.arguments import add_check_arguments, add_reload_arguments
from orcestator.connect.arguments import add_arguments as add_connect_arguments
from orcestator.doctor.arguments import add_arguments as add_doctor_arguments
from orcestator.errors import StartupProblem
from orcestator.explain.arguments import add_arguments as add_explain_arguments
from orcestator.explain.arguments import add_env_file
from orcestator.sandbox.command import add_arguments as add_sandbox_arguments
from orcestator.simulator.arguments import add_arguments as add_simulate_arguments
from orcestator.telemetry.traffic_codec import escape_controls

COULD_NOT_START = 2
OUTPUT_CLOSED = 141
"""What a shell gives for a program that a closed pipe ended: 128 and SIGPIPE."""
MOST_WORKERS = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    return guarded(lambda: _exit_with(arguments.run(arguments)))


def _exit_with(status: Any) -> None:
    if status:
        sys.exit(int(status))


STARTING_GARBAGE_THRESHOLD = 50_000
"""Objects that are made between two looks for garbage, until a program that serves sets its own."""


def guarded(run: Any) -> int:
    """Run a program; a problem at the start is one sentence on standard error and status 2, a closed output no word and 141."""
    # Nearly all that is made while modules are imported lives to the end: every 700 objects a look for garbage costs a
    # tenth of the start and finds none.
    gc.set_threshold(STARTING_GARBAGE_THRESHOLD)
    try:
        run()
    except StartupProblem as problem:
        if problem.message:
            # Without one, a program that was started for us has said it already.
            sys.stderr.write(f"orcestator: {harmless(problem.message)}\n")
        return COULD_NOT_START
    except BrokenPipeError:
        # Whoever reads our output has seen enough, as in ``| head -1``. Python would write the rest of it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    except OSError as problem:
        if problem.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        sys.stderr.write(
            "orcestator: There are no file descriptors left. Allow more of them, as with: ulimit -n 1024\n"
        )
        return COULD_NOT_START
    except KeyboardInterrupt:
        return 130
    return 0


def say(text: str) -> None:
    """Print for people, at once, also into a pipe; a terminal that lacks a character gets a question mark for it, and no terminal a command
    that somebody else wrote into a name."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(harmless(text).encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def harmless(text: str) -> str:
    """The text with all control characters but line ends and tabs written as escapes."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "\n".join("\t".join(map(escape_controls, line.split("\t"))) for line in text.split("\n"))


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


class _Command(NamedTuple):
    """One command of the command line."""

    name: str
    help: str
    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], object]
    """Gives the exit status, or nothing."""


def _parser() -> argparse.ArgumentParser:
    parser = parser_for(
        "orcestator", "One OpenAI-compatible door on localhost for every LLM provider you have a key to."
    )
    parser.add_argument("--version", action="version", version=f"orcestator {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in _commands():
        added = commands.add_parser(command.name, help=command.help, description=command.description)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    return parser


def _commands() -> tuple[_Command, ...]:
    """Every command, in the order of the help."""
    return (
        _Command(
            "up",
            "start the cluster",
            "Start the cluster: in this process, as several complete processes, or with --processes split.",
            _add_up_arguments,
            _run_up,
        ),
        _Command(
            "sandbox",
            "start the built-in provider, which fails on command",
            "A real HTTP server in the OpenAI dialect for first steps and tests; model fault:ID gives each fault.",
            add_sandbox_arguments,
            _run_of("orcestator.sandbox.command"),
        ),
        _Command(
            "connect",
            "configure a client: an editor, an agent, a tool",
            "Print the configuration of a client with the models that the running server offers, or write it.",
            add_connect_arguments,
            _run_of("orcestator.connect.command"),
        ),
        _Command(
            "doctor",
            "find out what is wrong",
            "Look at the settings, the server, every provider and the clients, and say what to do.",
            add_doctor_arguments,
            _run_of("orcestator.doctor.command"),
        ),
        _Command(
            "check",
            "validate the configuration and say what it would change",
            "Validate the configuration, say what it means, and what it would change on the running server.",
            add_check_arguments,
            _run_of("orcestator.check.command"),
        ),
        _Command(
            "reload",
            "make the running server read its configuration again",
            "Let the running server read its configuration again. A bad one changes nothing; no stream is cut.",
            add_reload_arguments,
            _run_of("orcestator.check.reloading"),
        ),
        _Command(
            "explain",
            "show why a request went where it went, or where one would go",
            "Ask the running server about a past request by its id, or about one that is not made: nobody is called.",
            add_explain_arguments,
            _run_of("orcestator.explain.command"),
        ),
        _Command(
            "simulate",
            "try routing strategies against scenarios, in virtual time",
            "Run the routing of this release against modelled upstreams: outages, slow tails, limits, prices.",
            add_simulate_arguments,
            _run_of("orcestator.simulator.command"),
        ),
    )


def _run_of(module: str) -> Callable[[argparse.Namespace], object]:
    """The ``run`` of a module that is imported when it is needed: help must be quick."""
    return lambda arguments: import_module(module).run(arguments, say)


def _add_up_arguments(up: argparse.ArgumentParser) -> None:
    up.add_argument("--config", metavar="FILE", help="YAML file with providers, models and settings (OR_CONFIG)")
    add_env_file(up)
    up.add_argument("--host", help="address to listen on (OR_HOST, 0.0.0.0)")
    up.add_argument("--port", type=int, help="port to listen on (OR_PORT, 8000)")
    up.add_argument("--workers", type=int, metavar="N", help="N complete processes on the one port")
    up.add_argument("--processes", action="store_true", help="controller, one worker a provider and API servers apart")
    up.add_argument("--api-workers", type=int, metavar="N", help="API servers with --processes (OR_API_WORKERS, 1)")


def _run_up(arguments: argparse.Namespace) -> None:
    from orcestator.settings import Settings, load, when_still  # noqa: PLC0415

    _check_processes(arguments)

    def load_now() -> Settings:
        return load(
            config_path=arguments.config,
            dotenv_path=arguments.env_file,
            overrides=set_only(host=arguments.host, port=arguments.port, api_workers=arguments.api_workers),
        )

    settings = load_now()
    if arguments.processes or arguments.workers:
        from orcestator.cluster.supervisor import Source, run_supervised  # noqa: PLC0415

        source = Source(load_now, arguments.config, arguments.env_file, arguments.workers or 0)
        serve(run_supervised(settings, source, say))
    else:
        from orcestator.cluster.embedded import run_embedded  # noqa: PLC0415

        load_again = partial(when_still, load_now, (settings.config, arguments.env_file))
        serve(run_embedded(settings, say, load_again))


def _check_processes(arguments: argparse.Namespace) -> None:
    """Raise StartupProblem for flags that ask for two kinds of cluster at once."""
    if arguments.workers is not None and not 1 <= arguments.workers <= MOST_WORKERS:
        raise StartupProblem(f"--workers must be a whole number from 1 to {MOST_WORKERS}.")
    if arguments.workers and arguments.processes:
        raise StartupProblem(
            "--workers starts complete processes and --processes their parts: choose one of them"
            " (--processes --api-workers N has several API servers)."
        )
    if arguments.api_workers not in (None, 1) and not arguments.processes:
        why = "--workers N says how many there are" if arguments.workers else "one process has one API server"
        raise StartupProblem(f"--api-workers needs --processes: {why}.")


def add_supervised(parser: argparse.ArgumentParser) -> None:
    """The flag by which ``orcestator up --processes`` starts its children."""
    parser.add_argument(
        "--supervised", action="store_true", help="end when standard input closes, which a supervisor holds open"
    )


def set_only(**values: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in values.items() if value is not None}

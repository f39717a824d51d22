"""The command line. Each command is a few lines over the parts; heavy imports wait until a command needs them."""

import argparse
import errno
import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from orcestator import __version__
from orcestator.check.arguments import add_check_arguments, add_reload_arguments
from orcestator.errors import StartupProblem
from orcestator.explain.arguments import add_arguments as add_explain_arguments
from orcestator.sandbox import command
from orcestator.simulator.arguments import add_arguments as add_simulate_arguments
from orcestator.telemetry.traffic_codec import escape_controls

COULD_NOT_START = 2
HAS_PROBLEMS = 1
OUTPUT_CLOSED = 141
"""What a shell gives for a program that a closed pipe ended: 128 and SIGPIPE."""
CLIENT_NAMES = (
    *("vscode", "copilot-cli", "codex", "claude-code", "opencode", "continue", "cline", "aider", "zed", "gemini-cli"),
    *("llm", "n8n"),
)
"""What ``connect`` knows; a test holds it to the registry, which is too much to import for a word of help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    return guarded(lambda: arguments.run(arguments))


STARTING_GARBAGE_THRESHOLD = 50_000
"""Objects that are made between two looks for garbage, until a program that serves sets its own."""


def guarded(run: Any) -> int:
    """Run a program; a problem at the start is one sentence on standard error and status 2, a closed output no word and 141."""
    # Nearly all that is made while modules are imported lives to the end: every 700 objects a look for garbage costs a
    # sixth of the start and finds none.
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


def _parser() -> argparse.ArgumentParser:
    parser = parser_for(
        "orcestator", "One OpenAI-compatible door on localhost for every LLM provider you have a key to."
    )
    parser.add_argument("--version", action="version", version=f"orcestator {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_up(commands)
    _add_sandbox(commands)
    _add_connect(commands)
    _add_doctor(commands)
    _add_check(commands)
    _add_reload(commands)
    _add_explain(commands)
    _add_simulate(commands)
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
    from orcestator.settings import Settings, load, when_still  # noqa: PLC0415

    def load_now() -> Settings:
        return load(
            config_path=arguments.config,
            dotenv_path=arguments.env_file,
            overrides=given(host=arguments.host, port=arguments.port, api_workers=arguments.api_workers),
        )

    settings = load_now()
    if arguments.processes:
        from orcestator.cluster.supervisor import run_supervised  # noqa: PLC0415

        serve(run_supervised(settings, arguments.config, arguments.env_file, say, load_now))
    else:
        from orcestator.cluster.embedded import run_embedded  # noqa: PLC0415

        if arguments.api_workers not in (None, 1):
            raise StartupProblem("--api-workers needs --processes: one process has one API server.")
        load_again = partial(when_still, load_now, (settings.config, arguments.env_file))
        serve(run_embedded(settings, say, load_again))


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


def _add_connect(commands: Any) -> None:
    connect = commands.add_parser(
        "connect",
        help="configure a client: an editor, an agent, a tool",
        description="Print the configuration of a client with the models that the running server offers, or write it.",
    )
    connect.add_argument("client", choices=CLIENT_NAMES, metavar="CLIENT", help=", ".join(CLIENT_NAMES))
    connect.add_argument("--url", help="where the server is (http://localhost and the configured port)")
    connect.add_argument(
        "--key-file",
        metavar="FILE",
        help="a file with a caller key, - for standard input, if the server asks for one (ORCESTATOR_API_KEY)",
    )
    connect.add_argument("--key", help="the caller key itself: others on this machine see it in the list of processes")
    connect.add_argument(
        "--model", nargs="+", action="extend", metavar="NAME", help="models to configure; * stands for anything"
    )
    connect.add_argument("--write", action="store_true", help="merge it into the client's file, after a backup")
    connect.add_argument("--file", metavar="PATH", help="the client's file, if it is not in its usual place")
    connect.set_defaults(run=_run_connect)


def _run_connect(arguments: argparse.Namespace) -> None:
    from orcestator.connect import command as connect  # noqa: PLC0415

    connect.run(arguments, say)


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="find out what is wrong",
        description="Look at the settings, the server, every provider and the clients, and say what to do.",
    )
    doctor.add_argument("--config", metavar="FILE", help="YAML file with providers, models and settings (OR_CONFIG)")
    add_env_file(doctor)
    doctor.add_argument("--probe", action="store_true", help="also call every provider; this costs a few tokens")
    doctor.add_argument(
        "--model", nargs="+", action="extend", metavar="NAME", help="models to probe, as provider/model"
    )
    doctor.add_argument("--json", action="store_true", help="for machines")
    doctor.set_defaults(run=_run_doctor)


def _run_doctor(arguments: argparse.Namespace) -> None:
    from orcestator.doctor import command as doctor  # noqa: PLC0415

    if doctor.run(arguments, say):
        sys.exit(HAS_PROBLEMS)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="validate the configuration and say what it would change",
        description="Validate the configuration, say what it means, and what it would change on the running server.",
    )
    add_env_file(check)
    add_check_arguments(check)
    check.set_defaults(run=_run_check)


def _run_check(arguments: argparse.Namespace) -> None:
    from orcestator.check import command as check  # noqa: PLC0415

    _exit_with(check.run(arguments, say))


def _add_reload(commands: Any) -> None:
    reload = commands.add_parser(
        "reload",
        help="make the running server read its configuration again",
        description="Let the running server read its configuration again. A bad one changes nothing; no stream is cut.",
    )
    add_env_file(reload)
    add_reload_arguments(reload)
    reload.set_defaults(run=_run_reload)


def _run_reload(arguments: argparse.Namespace) -> None:
    from orcestator.check import reloading  # noqa: PLC0415

    _exit_with(reloading.run(arguments, say))


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="show why a request went where it went, or where one would go",
        description="Ask the running server about a past request by its id, or about one that is not made: nobody is called.",
    )
    add_explain_arguments(explain)
    explain.set_defaults(run=_run_explain)


def _run_explain(arguments: argparse.Namespace) -> None:
    from orcestator.explain import command as explain  # noqa: PLC0415

    explain.run(arguments, say)


def _add_simulate(commands: Any) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="try routing strategies against scenarios, in virtual time",
        description="Run the routing of this release against modelled upstreams: outages, slow tails, limits, prices.",
    )
    add_simulate_arguments(simulate)
    simulate.set_defaults(run=_run_simulate)


def _run_simulate(arguments: argparse.Namespace) -> None:
    from orcestator.simulator import command as simulate  # noqa: PLC0415

    simulate.run(arguments, say)


def _exit_with(status: int) -> None:
    if status:
        sys.exit(status)


def given(**values: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in values.items() if value is not None}

"""Makes ``.venv`` beside the checkout and installs one hash-pinned lock file into it. Standard library only.

It must never resolve versions, import what it installs, or leave a stamp behind an install that did not finish.
Up to the version check this file has to run, and below it to parse, on every Python 3: an old one gets a sentence.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

OLDEST = (3, 11)


def old_python_sentence(version: "tuple[int, ...]") -> str:
    """What a person on a Python older than OLDEST is told."""
    return (
        f"orcestator needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and this is Python {version[0]}.{version[1]}: "
        "install one from https://www.python.org/downloads/ and run this script with it."
    )


if sys.version_info < OLDEST:
    sys.exit(old_python_sentence(sys.version_info[:2]))

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WINDOWS = sys.platform == "win32"
ROOT = Path(__file__).resolve().parents[1]
UNFINISHED = "orcestator-install-unfinished"
PATH_FILE = "orcestator-checkout.pth"
# dev.lock holds everything that runtime.lock holds (a test proves it), so one install can earn both stamps.
EARNS = {"runtime": ("runtime",), "dev": ("dev", "runtime")}
PIP_INSTALL = (
    *("-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:"),
    *("--no-input", "--disable-pip-version-check"),
)
# `pip config` may ask for --user installs, which no virtual environment accepts.
PIP_ENVIRONMENT = {"PIP_USER": "0"}
PROBE = f"import pip, sys; sys.exit(sys.version_info < {OLDEST})"
SHOWN_LINES = 12
REMEDIES = (
    (
        "DO NOT MATCH THE HASHES",
        "A downloaded file is not the one that was locked: check your package index or mirror.",
    ),
    ("No space left", "The disk is full: make room and start again."),
    (
        "No matching distribution",
        "A package has no ready-made file for this machine, or the package index cannot be reached: "
        "use 64-bit CPython 3.11 to 3.13, and behind a proxy set HTTPS_PROXY.",
    ),
)
OTHER_REMEDY = "Check the network (behind a proxy set HTTPS_PROXY) and start again: the install begins anew."


class SetupProblem(Exception):
    """The environment cannot be made; the text is the sentence for the person at the terminal."""


# --- what is installed ------------------------------------------------------------------------------------------------


def venv_python(venv: Path, *, windows: bool = WINDOWS) -> Path:
    """The interpreter inside a virtual environment."""
    return venv / "Scripts" / "python.exe" if windows else venv / "bin" / "python"


def lock_path(root: Path, lock_name: str) -> Path:
    """The lock file called ``runtime`` or ``dev``."""
    return root / "requirements" / f"{lock_name}.lock"


def stamp_path(root: Path, lock_name: str) -> Path:
    """The file that says which content of a lock file is installed."""
    return root / ".venv" / f"orcestator-{lock_name}.stamp"


def fingerprint(lock: Path) -> str:
    """A hash of the lock file's content."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_installed(root: Path, lock_name: str) -> bool:
    """Whether ``.venv`` holds what the lock file says. Runs at every start, so it reads two files and no more."""
    try:
        stamp = stamp_path(root, lock_name).read_text("ascii")
    except OSError:
        return False
    return stamp == fingerprint(lock_path(root, lock_name)) and venv_python(root / ".venv").exists()


# --- installing -------------------------------------------------------------------------------------------------------


def ensure(lock_name: str, root: Path = ROOT) -> Path:
    """Installs the lock file if it is not installed yet and returns the interpreter to run with.

    Raises SetupProblem. Two starts at once are safe: the second waits and then finds the work done.
    """
    if not is_installed(root, lock_name):
        with exit_on_sigterm(), one_at_a_time(root / ".orcestator" / "install.lock") as guard:
            if not is_installed(root, lock_name):
                install(root, lock_name, guard)
    return venv_python(root / ".venv")


def install(root: Path, lock_name: str, guard: int) -> None:
    """Makes ``.venv`` when it is missing or broken, installs, and writes the stamps last."""
    venv = root / ".venv"
    if not is_usable(venv):
        make_venv(venv, guard)
    for stamped in EARNS:
        stamp_path(root, stamped).unlink(missing_ok=True)
    (venv / UNFINISHED).touch()
    lock = lock_path(root, lock_name)
    title = f"installing {count_packages(lock)} packages from requirements/{lock.name} into .venv"
    run_step(title, [str(venv_python(venv)), *PIP_INSTALL, "-r", str(lock)], guard)
    put_checkout_on_path(root)
    (venv / UNFINISHED).unlink()
    for stamped in EARNS[lock_name]:
        stamp_path(root, stamped).write_text(fingerprint(lock_path(root, stamped)), "ascii")


def is_usable(venv: Path) -> bool:
    """Whether the environment runs, is new enough, has pip and was not left half-installed."""
    python = venv_python(venv)
    if (venv / UNFINISHED).exists() or not python.exists():
        return False
    return subprocess.run([str(python), "-c", PROBE], capture_output=True, check=False).returncode == 0


def make_venv(venv: Path, guard: int) -> None:
    """Makes the environment, in place of a broken one; refuses to clear a folder that is no environment."""
    if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise SetupProblem(f"{venv} exists and is not a virtual environment: move it away and start again.")
    if not can_make_venv():
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupProblem(
            f"This Python has no ensurepip, so it cannot make a virtual environment: install python{version}-venv "
            "(Debian, Ubuntu: sudo apt install python3-venv) and start again."
        )
    run_step("making .venv", [sys.executable, "-m", "venv", "--clear", str(venv)], guard)


def can_make_venv() -> bool:
    """Whether this interpreter has the modules that Linux distributions sometimes split off."""
    probe = subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    return probe.returncode == 0


def count_packages(lock: Path) -> int:
    """How many packages a lock file names, for the progress line."""
    return sum("==" in line and not line.startswith((" ", "#")) for line in lock.read_text("utf-8").splitlines())


def put_checkout_on_path(root: Path) -> None:
    """Lets the environment import the package from the checkout, from whatever folder a program is started in.

    The path is relative to site-packages, so a checkout that moves, or has letters beyond ASCII, stays importable.
    """
    python = str(venv_python(root / ".venv"))
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    Path(site_packages, PATH_FILE).write_text(os.path.relpath(root, site_packages) + "\n", "ascii")


# --- one step at a time, in sight ------------------------------------------------------------------------------------


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[int]:
    """Holds a file lock that the system drops when its last holder dies; yields the open file's number."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b") as handle:
        if not try_lock(handle):
            say("another start is installing; waiting for it")
            while not try_lock(handle):
                time.sleep(0.1)
        yield handle.fileno()


def try_lock(handle: IO[bytes]) -> bool:
    """Takes the file lock if nobody holds it."""
    try:
        if sys.platform == "win32":
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Turns SIGTERM into SystemExit while a step runs, so that its process is not left behind."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_step(title: str, command: list[str], guard: int) -> None:
    """Runs one command behind a progress line. Raises SetupProblem with its last lines when it fails.

    The command inherits the file lock: should this script be killed, the next start waits until the command is gone.
    """
    kept = () if WINDOWS else (guard,)
    environment = {**os.environ, **PIP_ENVIRONMENT}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        pass_fds=kept,
    ) as running:
        try:
            output = show_progress(title, running)
        finally:
            if running.poll() is None:
                running.terminate()
    if running.returncode != 0:
        raise SetupProblem(failure_text(title, output.decode("utf-8", "replace")))


def show_progress(title: str, running: "subprocess.Popen[bytes]") -> bytes:
    """Waits for the command with one line that tells the seconds; returns what the command printed."""
    started = time.monotonic()
    on_terminal = sys.stderr.isatty()
    if not on_terminal:
        say(f"{title} ...")
    while True:
        try:
            output = running.communicate(timeout=1)[0]
        except subprocess.TimeoutExpired:
            if on_terminal:
                say(f"{title} ... {time.monotonic() - started:.0f} s", end="\r")
        else:
            outcome = "done" if running.returncode == 0 else "failed"
            say(f"{title} ... {outcome} in {time.monotonic() - started:.1f} s")
            return output


def failure_text(title: str, output: str) -> str:
    """The last lines of a failed command and what to do about it."""
    remedy = next((remedy for sign, remedy in REMEDIES if sign in output), OTHER_REMEDY)
    return "\n".join([f"{title} failed:", *output.splitlines()[-SHOWN_LINES:], remedy])


def say(line: str, end: str = "\n") -> None:
    """Prints for the person at the terminal; standard output stays the program's own."""
    print(f"orcestator: {line}", end=end, file=sys.stderr, flush=True)


# --- handing over -----------------------------------------------------------------------------------------------------


def ensure_or_exit(lock_name: str) -> Path:
    """``ensure`` for a script: a problem or Ctrl-C ends the process with a sentence instead of a traceback."""
    try:
        return ensure(lock_name)
    except SetupProblem as problem:
        sys.exit(f"orcestator: {problem}")
    except KeyboardInterrupt:
        say("interrupted; the next start begins the install anew")
        sys.exit(130)


def hand_over(command: list[str]) -> NoReturn:
    """Becomes the command; where a process cannot do that (Windows), waits for it and exits as it did."""
    sys.stdout.flush()
    if not WINDOWS:
        os.execv(command[0], command)
    sys.exit(wait_for(command))


def wait_for(command: list[str]) -> int:
    """Runs the command to its end. Ctrl-C reaches it too, through the shared console, so here it is only survived."""
    with subprocess.Popen(command) as running:
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:
                continue

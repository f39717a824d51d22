"""The environment in .venv: made once, with what the lock says, and never half-made without the next start knowing."""

import ast
import base64
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import bootstrap
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
DEADLINE = 50.0
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and inherited file locks")


def write_wheel(folder: Path, name: str) -> str:
    """Writes a wheel with one module of that name; returns its line for a lock file."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "WORKS = True\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in files.items()}
    record = [f"{path},sha256={base64.urlsafe_b64encode(digests[path]).rstrip(b'=').decode()}," for path in files]
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inner, text in {**files, f"{info}/RECORD": "\n".join([*record, f"{info}/RECORD,,"])}.items():
            wheel.writestr(inner, text)
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two tiny locks, the scripts and a bare environment: copied for each test, which is quick."""
    root = tmp_path_factory.mktemp("template") / "checkout"
    (root / "requirements").mkdir(parents=True)
    (root / "wheels").mkdir()
    runtime, tool = write_wheel(root / "wheels", "tiny_runtime"), write_wheel(root / "wheels", "tiny_tool")
    bootstrap.lock_path(root, "runtime").write_text(runtime, "utf-8")
    bootstrap.lock_path(root, "dev").write_text(runtime + tool, "utf-8")
    (root / "scripts").mkdir()
    for script in ("bootstrap.py", "up.py", "test.py"):
        shutil.copy(SCRIPTS / script, root / "scripts")
    subprocess.run([sys.executable, "-m", "venv", str(root / ".venv")], check=True, timeout=DEADLINE)
    return root


@pytest.fixture
def checkout(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the template; pip finds the wheels in it and nothing anywhere else."""
    root = tmp_path / "check out ü"
    shutil.copytree(template, root, symlinks=True)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(template / "wheels"))
    return root


def can_import(root: Path, module: str) -> bool:
    """Whether the environment imports a module, asked from another folder."""
    command = [str(bootstrap.venv_python(root / ".venv")), "-c", f"import {module}"]
    return subprocess.run(command, cwd=root.parent, capture_output=True, timeout=DEADLINE, check=False).returncode == 0


def stamps(root: Path) -> set[str]:
    return {path.stem.removeprefix("orcestator-") for path in (root / ".venv").glob("*.stamp")}


# --- before anything else ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["up.py", "test.py", "check.py"])
def test_an_old_python_gets_one_sentence(script: str) -> None:
    pretend = f"import runpy, sys; sys.version_info = (3, 8, 20); runpy.run_path({str(SCRIPTS / script)!r})"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    told = subprocess.run([sys.executable, "-c", pretend], env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.strip() == bootstrap.old_python_sentence((3, 8))
    assert "3.11 or newer" in told.stderr
    assert "this is Python 3.8" in told.stderr


@pytest.mark.parametrize("script", ["bootstrap.py", "up.py", "test.py", "check.py"])
def test_the_scripts_parse_on_an_old_python(script: str) -> None:
    ast.parse((SCRIPTS / script).read_text("utf-8"), feature_version=(3, 7))


def test_the_interpreter_is_where_each_system_puts_it() -> None:
    assert bootstrap.venv_python(Path("v"), windows=True) == Path("v", "Scripts", "python.exe")
    assert bootstrap.venv_python(Path("v"), windows=False) == Path("v", "bin", "python")


# --- the stamp --------------------------------------------------------------------------------------------------------


def test_installs_what_the_lock_says_and_puts_the_checkout_on_the_path(checkout: Path) -> None:
    (checkout / "from_the_checkout.py").touch()
    python = bootstrap.ensure("runtime", checkout)
    assert python == bootstrap.venv_python(checkout / ".venv")
    assert can_import(checkout, "tiny_runtime, from_the_checkout")
    assert not can_import(checkout, "tiny_tool")
    assert stamps(checkout) == {"runtime"}


def test_a_second_start_does_nothing(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.ensure("runtime", checkout)
    assert "installing 1 packages" in capsys.readouterr().err
    bootstrap.ensure("runtime", checkout)
    assert capsys.readouterr().err == ""


def test_the_developers_install_covers_the_runtime(checkout: Path) -> None:
    bootstrap.ensure("dev", checkout)
    assert can_import(checkout, "tiny_runtime, tiny_tool")
    assert stamps(checkout) == {"dev", "runtime"}


def test_a_changed_lock_takes_every_stamp_back(checkout: Path) -> None:
    bootstrap.ensure("dev", checkout)
    lock = bootstrap.lock_path(checkout, "runtime")
    lock.write_text(lock.read_text("utf-8") + "# changed\n", "utf-8")
    assert not bootstrap.is_installed(checkout, "runtime")
    bootstrap.ensure("runtime", checkout)
    assert stamps(checkout) == {"runtime"}


def test_a_stamp_without_its_interpreter_counts_for_nothing(checkout: Path) -> None:
    python = bootstrap.ensure("runtime", checkout)
    python.unlink()
    assert not bootstrap.is_installed(checkout, "runtime")


def test_a_checkout_that_moves_stays_installed(checkout: Path) -> None:
    (checkout / "from_the_checkout.py").touch()
    bootstrap.ensure("runtime", checkout)
    moved = checkout.rename(checkout.parent / "elsewhere")
    assert bootstrap.is_installed(moved, "runtime")
    assert can_import(moved, "tiny_runtime, from_the_checkout")


# --- when it goes wrong -----------------------------------------------------------------------------------------------


def test_a_failed_install_leaves_no_stamp_and_the_next_one_begins_anew(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = bootstrap.lock_path(checkout, "runtime")
    good = lock.read_text("utf-8")
    lock.write_text(good.replace("sha256:" + good.strip()[-64:], "sha256:" + "0" * 64), "utf-8")
    with pytest.raises(bootstrap.SetupProblem, match="not the one that was locked"):
        bootstrap.ensure("runtime", checkout)
    assert stamps(checkout) == set()
    lock.write_text(good, "utf-8")
    capsys.readouterr()
    bootstrap.ensure("runtime", checkout)
    assert "making .venv" in capsys.readouterr().err
    assert stamps(checkout) == {"runtime"}


def test_a_missing_file_is_told_with_its_remedy(checkout: Path) -> None:
    bootstrap.lock_path(checkout, "runtime").write_text("absent==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", "utf-8")
    with pytest.raises(bootstrap.SetupProblem, match=r"(?s)absent.*64-bit CPython"):
        bootstrap.ensure("runtime", checkout)


def test_every_failure_has_a_remedy_and_few_lines() -> None:
    text = bootstrap.failure_text("installing", "\n".join(f"line {number}" for number in range(99)))
    assert text.splitlines()[-1] == bootstrap.OTHER_REMEDY
    assert len(text.splitlines()) == bootstrap.SHOWN_LINES + 2


def test_a_folder_that_is_no_environment_is_not_touched(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "thesis.txt").touch()
    with pytest.raises(bootstrap.SetupProblem, match="not a virtual environment"):
        bootstrap.ensure("runtime", checkout)
    assert (checkout / ".venv" / "thesis.txt").exists()


def test_a_python_without_ensurepip_names_the_package(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(checkout / ".venv")
    (checkout / "ensurepip.py").write_text("raise ImportError", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    with pytest.raises(bootstrap.SetupProblem, match=r"install python3\.\d+-venv"):
        bootstrap.ensure("runtime", checkout)


def test_a_broken_environment_is_made_anew(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv" / ("Lib" if bootstrap.WINDOWS else "lib"))
    bootstrap.ensure("runtime", checkout)
    assert can_import(checkout, "tiny_runtime")


class HangingIndex:
    """A package index that takes connections and never answers, so that pip is caught in the middle."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/simple"
        # Far beyond the deadline: only a signal or an answer may end pip here, never its own patience.
        patience = {"PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "600"}
        return {**inherited, **patience, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": url, "NO_PROXY": "*"}

    def take(self) -> socket.socket:
        """Waits until pip has connected."""
        connection = self.listener.accept()[0]
        connection.settimeout(DEADLINE)
        return connection


@pytest.fixture
def index() -> Iterator[HangingIndex]:
    hanging = HangingIndex()
    yield hanging
    hanging.listener.close()


def start_up(root: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A start that hears Ctrl-C, also where these tests were told not to: a shell tells that to what it runs beside itself."""
    command = [sys.executable, str(root / "scripts" / "up.py")]
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, inherited)


def ended(connection: socket.socket) -> bool:
    """Reads until the peer closes."""
    while connection.recv(65536):
        pass
    return True


@posix_only
def test_sigterm_takes_pip_along_and_leaves_no_stamp(checkout: Path, index: HangingIndex) -> None:
    with start_up(checkout, index.environment()) as starting, index.take() as connection:
        starting.terminate()
        assert starting.wait(DEADLINE) == 128 + signal.SIGTERM
        assert ended(connection)
    assert stamps(checkout) == set()
    assert not bootstrap.is_usable(checkout / ".venv")


@posix_only
def test_ctrl_c_is_told_in_a_sentence(checkout: Path, index: HangingIndex) -> None:
    with start_up(checkout, index.environment()) as starting, index.take() as connection:
        starting.send_signal(signal.SIGINT)
        assert starting.wait(DEADLINE) == 130
        assert ended(connection)
        assert starting.stderr is not None
        last = starting.stderr.read().decode().splitlines()[-1]
    assert last == "orcestator: interrupted; the next start begins the install anew"


@posix_only
def test_after_kill_9_the_next_start_waits_until_pip_is_gone(checkout: Path, index: HangingIndex) -> None:
    with start_up(checkout, index.environment()) as starting, index.take() as connection:
        starting.kill()
        starting.wait(DEADLINE)
        with (checkout / ".orcestator" / "install.lock").open("a+b") as handle:
            assert not bootstrap.try_lock(handle)
        connection.sendall(b"HTTP/1.1 404 gone\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        assert ended(connection)
    assert stamps(checkout) == set()
    bootstrap.ensure("runtime", checkout)
    assert stamps(checkout) == {"runtime"}


def test_of_two_starts_at_once_one_installs_and_both_run(checkout: Path) -> None:
    (checkout / "orcestator.py").write_text("print('runs')", "utf-8")
    command = [sys.executable, str(checkout / "scripts" / "up.py")]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, cwd=checkout, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    told = [process.communicate(timeout=DEADLINE) for process in both]
    assert [out.strip() for out, _ in told] == ["runs", "runs"]
    assert sum("installing 1 packages" in err and "done" in err for _, err in told) == 1


# --- handing over -----------------------------------------------------------------------------------------------------


def test_up_becomes_the_cluster_with_its_arguments_where_it_was_called(checkout: Path) -> None:
    (checkout / "orcestator.py").write_text("import os, sys; print(os.getcwd(), sys.argv[1:]); sys.exit(7)", "utf-8")
    command = [sys.executable, str(checkout / "scripts" / "up.py"), "--port", "8010"]
    ran = subprocess.run(command, cwd=checkout.parent, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ran.returncode == 7
    assert ran.stdout.strip() == f"{os.path.realpath(checkout.parent)} ['up', '--port', '8010']"


@pytest.mark.parametrize(
    ("asked", "passed_on"), [(["-k", "edge"], ["-k", "edge"]), ([], ["-n", "3", "--dist", "worksteal"])]
)
def test_test_runs_pytest_in_the_checkout_and_passes_its_exit_code(
    checkout: Path, asked: list[str], passed_on: list[str]
) -> None:
    """Everything on both cores, and what is chosen as it was asked for."""
    (checkout / "pytest.py").write_text("import os, sys; print(os.getcwd(), sys.argv[1:]); sys.exit(5)", "utf-8")
    command = [sys.executable, str(checkout / "scripts" / "test.py"), *asked]
    ran = subprocess.run(command, cwd=checkout.parent, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ran.returncode == 5
    assert ran.stdout.strip() == f"{os.path.realpath(checkout)} {passed_on}"


def test_waiting_passes_the_exit_code_on() -> None:
    assert bootstrap.wait_for([sys.executable, "-c", "raise SystemExit(7)"]) == 7

"""What a benchmark run leaves behind: the machine's description, a table to read and a file to compare with.

It must never write the machine's name, a user's name or a path.
"""

import importlib.metadata
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = ("aiohttp", "fastapi", "fschat", "httptools", "orjson", "sqlmodel", "starlette", "uvicorn", "uvloop")
Row = dict[str, Any]


def proc_value(path: str, name: str) -> str:
    """The first value of a ``name : value`` line of a file under /proc; empty when there is none."""
    lines = Path(path).read_text("utf-8", "replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def package_versions() -> dict[str, str]:
    """The versions of the packages that the speed depends on, as far as they are installed."""
    installed = {found.metadata["Name"].lower(): found.version for found in importlib.metadata.distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


def commit(root: Path) -> str:
    """The commit that was measured, with a + when the checkout had changes; empty outside of git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine(root: Path) -> dict[str, Any]:
    """Everything one needs to know to compare with these numbers, and nothing that tells whose machine it is."""
    return {
        "cpu": proc_value("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": int(proc_value("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": package_versions(),
        "load_average_before": os.getloadavg()[0],
        "commit": commit(root),
    }


def host_kind(facts: dict[str, Any]) -> str:
    """A name for this kind of machine, for a file's name: ``2-cores-amd-epyc``."""
    return re.sub(r"[^a-z0-9]+", "-", f"{facts['cores']} cores {facts['cpu']}".lower()).strip("-")


def cell(value: object) -> str:
    """A value as a reader wants it: numbers with three figures that count, unknown ones as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table whose columns align in plain text too; the first column is the text one."""
    if not rows:
        return ""
    heads = list(rows[0])
    lines = [heads, *([cell(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(aligned(line, widths) for line in [lines[0], rule, *lines[1:]])


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a table: the first cell to the left, numbers to the right."""
    padded = [
        cells[0].ljust(widths[0]),
        *(text.rjust(width) for text, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return f"| {' | '.join(padded)} |"


def markdown(facts: dict[str, Any], tables: dict[str, list[Row]], command: str) -> str:
    """The whole result for a reader."""
    described = [f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items() if name != "packages"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    parts = [f"## {title}\n\n{table(rows)}\n" for title, rows in tables.items() if rows]
    return "\n".join(["# Benchmark", "", f"`{command}`", "", *described, f"- packages: {packages}", "", *parts])


def without_nan(value: object) -> object:
    """The same value with NaN, which JSON does not know, as null."""
    return None if isinstance(value, float) and math.isnan(value) else value


def write(folder: Path, facts: dict[str, Any], tables: dict[str, list[Row]], command: str) -> Path:
    """Writes ``<date>-<host kind>.json`` and ``.md``; returns the path of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y-%m-%d}-{host_kind(facts)}.md"
    path.write_text(markdown(facts, tables, command), "utf-8")
    plain = {title: [{head: without_nan(row[head]) for head in row} for row in rows] for title, rows in tables.items()}
    result = {"command": command, "machine": facts, "tables": plain}
    path.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    return path

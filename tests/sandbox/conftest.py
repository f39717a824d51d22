"""Fixtures: sandboxes, and the official SDK on one."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.sandbox.running_sandbox import RunningSandbox, StartSandbox


@pytest.fixture
def start_sandbox() -> Iterator[StartSandbox]:
    """Start sandboxes with arguments of SandboxServer; all are stopped at the end."""
    started: list[RunningSandbox] = []

    def start(**how: Any) -> RunningSandbox:
        started.append(RunningSandbox(**how))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> RunningSandbox:
    """A sandbox with the settings a newcomer gets."""
    return start_sandbox()


@pytest.fixture
def openai(sandbox: RunningSandbox) -> Iterator[OpenAI]:
    """The official SDK on the sandbox."""
    with sandbox.client() as client:
        yield client

"""Writes configuration into a folder of its own and loads it, with nothing of the machine's environment in it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orcestator.errors import StartupProblem
from orcestator.settings import Settings, load

Load = Callable[..., Settings]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """``loaded(environ, yaml=…, dotenv=…, files={name: text}, **overrides)``."""

    def load_from(
        environ: Mapping[str, str] | None = None,
        *,
        yaml: str | None = None,
        dotenv: str | None = None,
        files: Mapping[str, str] | None = None,
        **overrides: Any,
    ) -> Settings:
        monkeypatch.chdir(tmp_path)
        for name, text in (files or {}).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
        if yaml is not None:
            (tmp_path / "config.yaml").write_text(yaml, encoding="utf-8")
        return load(environ or {}, config_path="config.yaml" if yaml is not None else None, overrides=overrides)

    return load_from


@pytest.fixture
def refusal(loaded: Load) -> Callable[..., str]:
    """The sentence with which the start is refused; the arguments are those of ``loaded``."""

    def sentence(*args: Any, **named: Any) -> str:
        with pytest.raises(StartupProblem) as refused:
            loaded(*args, **named)
        message = refused.value.message
        assert "\n" not in message
        assert message.endswith((".", "?"))
        return message

    return sentence

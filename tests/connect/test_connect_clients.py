"""Every client: the true limits, the right file on every system, and no key where the client can read a variable."""

import json
import shlex
import tomllib
from pathlib import PurePath, PurePosixPath
from typing import Any

import pytest
import yaml

from orcestator.connect.arguments import CLIENT_NAMES
from orcestator.connect.machine import Machine
from orcestator.connect.registry import CLIENTS
from tests.connect.connect_samples import GUARDED, KEY, LINUX, MACOS, OPEN, WINDOWS, said, texts
from tests.docs.pages import page

OVERHEAD = ("vscode", "opencode", "continue", "zed", "codex", "llm")
"""Clients that keep the key elsewhere or read it from a variable."""

PATHS = {
    "vscode": (
        "/home/me/.config/Code/User/chatLanguageModels.json",
        "/Users/me/Library/Application Support/Code/User/chatLanguageModels.json",
        "C:/Users/me/AppData/Roaming/Code/User/chatLanguageModels.json",
    ),
    "copilot-cli": (
        "/home/me/.copilot/orcestator.sh", "/Users/me/.copilot/orcestator.sh", "C:/Users/me/.copilot/orcestator.ps1",
    ),
    "codex": ("/home/me/.codex/config.toml", "/Users/me/.codex/config.toml", "C:/Users/me/.codex/config.toml"),
    "claude-code": (
        "/home/me/.claude/settings.json", "/Users/me/.claude/settings.json", "C:/Users/me/.claude/settings.json",
    ),
    "opencode": (
        "/home/me/.config/opencode/opencode.json",
        "/Users/me/.config/opencode/opencode.json",
        "C:/Users/me/.config/opencode/opencode.json",
    ),
    "continue": ("/home/me/.continue/config.yaml", "/Users/me/.continue/config.yaml", "C:/Users/me/.continue/config.yaml"),
    "cline": (
        "/home/me/.cline/data/settings/providers.json",
        "/Users/me/.cline/data/settings/providers.json",
        "C:/Users/me/.cline/data/settings/providers.json",
    ),
    "aider": ("/home/me/.aider.conf.yml", "/Users/me/.aider.conf.yml", "C:/Users/me/.aider.conf.yml"),
    "zed": (
        "/home/me/.config/zed/settings.json",
        "/Users/me/.config/zed/settings.json",
        "C:/Users/me/AppData/Roaming/Zed/settings.json",
    ),
    "gemini-cli": ("/home/me/.gemini/settings.json", "/Users/me/.gemini/settings.json", "C:/Users/me/.gemini/settings.json"),
    "llm": (
        "/home/me/.config/io.datasette.llm/extra-openai-models.yaml",
        "/Users/me/Library/Application Support/io.datasette.llm/extra-openai-models.yaml",
        "C:/Users/me/AppData/Roaming/io.datasette.llm/extra-openai-models.yaml",
    ),
}  # fmt: skip


def first(name: str, **more: Any) -> str:
    """The text of a client's first file."""
    return next(iter(texts(name, **more).values()))


def parsed(path: PurePath, text: str) -> Any:
    """A file as its own format's library reads it."""
    if path.suffix in (".yaml", ".yml"):
        return yaml.safe_load(text)
    if path.suffix == ".toml":
        return tomllib.loads(text)
    return json.loads(text) if path.suffix == ".json" else text


def test_the_command_line_knows_every_client() -> None:
    """The help lists them without importing them."""
    assert set(CLIENT_NAMES) == set(CLIENTS)
    assert set(PATHS) == set(CLIENTS) - {"n8n"}


@pytest.mark.parametrize("name", sorted(PATHS))
def test_the_file_is_where_the_client_looks(name: str) -> None:
    """On each system."""
    found = [next(iter(texts(name, machine=machine))) for machine in (LINUX, MACOS, WINDOWS)]
    assert tuple(path.as_posix() for path in found) == PATHS[name]


@pytest.mark.parametrize(
    ("name", "variable", "path"),
    [
        ("vscode", "XDG_CONFIG_HOME", "/elsewhere/Code/User/chatLanguageModels.json"),
        ("codex", "CODEX_HOME", "/elsewhere/config.toml"),
        ("claude-code", "CLAUDE_CONFIG_DIR", "/elsewhere/settings.json"),
        ("cline", "CLINE_DATA_DIR", "/elsewhere/settings/providers.json"),
        ("gemini-cli", "GEMINI_CLI_HOME", "/elsewhere/.gemini/settings.json"),
        ("llm", "LLM_USER_PATH", "/elsewhere/extra-openai-models.yaml"),
        ("continue", "CONTINUE_GLOBAL_DIR", "/elsewhere/config.yaml"),
        ("copilot-cli", "COPILOT_HOME", "/elsewhere/orcestator.sh"),
    ],
)
def test_a_program_that_was_moved_is_found(name: str, variable: str, path: str) -> None:
    """By the variable that moves it."""
    machine = Machine("linux", LINUX.home, {variable: "/elsewhere"})
    assert next(iter(texts(name, machine=machine))) == PurePosixPath(path)


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_the_key_is_only_where_it_must_be(name: str) -> None:
    """Without one nothing says that there is; with one it is in a guarded file or in none."""
    assert "ORCESTATOR_API_KEY" not in "".join(texts(name).values())
    plan = CLIENTS[name].plan(GUARDED, LINUX)
    with_key = {edit.paths[0] for edit in plan.files if edit.holds_key}
    assert {path for path, text in texts(name, GUARDED).items() if KEY in text} == with_key
    assert KEY not in said(name, GUARDED)
    if name in OVERHEAD:
        assert KEY not in first(name, offered=GUARDED)
    assert name == "n8n" or texts(name, GUARDED) != texts(name, OPEN) or "the caller key" in said(name, GUARDED)


@pytest.mark.parametrize("name", sorted(PATHS))
def test_every_file_can_be_read(name: str) -> None:
    """By another reader than the one that wrote it."""
    for path, text in {**texts(name), **texts(name, GUARDED)}.items():
        assert parsed(path, text)


def test_vscode() -> None:
    """Input and output together are the context; reasoning has its switch; what the provider does not tell is assumed."""
    (group,) = json.loads(first("vscode"))
    assert {name: group[name] for name in ("name", "vendor", "apiType", "apiKey")} == {
        "name": "orcestator", "vendor": "customendpoint", "apiType": "chat-completions", "apiKey": "any",
    }  # fmt: skip
    assert group["models"] == [
        {
            "id": "orcestator",
            "name": "orcestator",
            "url": "http://localhost:8000/v1/chat/completions",
            "toolCalling": True,
            "vision": True,
            "maxInputTokens": 111_616,
            "maxOutputTokens": 16_384,
            "streaming": True,
            "thinking": True,
            "supportsReasoningEffort": ["low", "medium", "high"],
        },
        {
            "id": "careful",
            "name": "careful",
            "url": "http://localhost:8000/v1/chat/completions",
            "toolCalling": True,
            "vision": False,
            "maxInputTokens": 57_344,
            "maxOutputTokens": 8_192,
            "streaming": True,
        },
    ]
    assert json.loads(first("vscode", offered=GUARDED))[0]["apiKey"] == "${input:orcestator}"


def test_codex() -> None:
    """The Responses API, and the context where Codex knows the model by no other way."""
    config = tomllib.loads(first("codex", offered=GUARDED))
    assert config == {
        "model": "orcestator",
        "model_provider": "orcestator",
        "model_context_window": 128_000,
        "model_providers": {
            "orcestator": {
                "name": "orcestator",
                "base_url": "http://localhost:8000/v1",
                "wire_api": "responses",
                "env_key": "ORCESTATOR_API_KEY",
            }
        },
    }


def test_claude_code() -> None:
    """The address without /v1; numbers are strings, as variables are; a token is always there, or it asks for a login."""
    env = json.loads(first("claude-code"))["env"]
    assert env["ANTHROPIC_BASE_URL"] == "http://localhost:8000"
    assert env["ANTHROPIC_AUTH_TOKEN"] == "any"
    assert (env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"]) == ("128000", "16384")
    assert {env[name] for name in env if name.endswith("_MODEL")} == {"orcestator"}


def test_opencode() -> None:
    """Limits for each model, and the key by reference."""
    config = json.loads(first("opencode", offered=GUARDED))
    provider = config["provider"]["orcestator"]
    assert provider["options"] == {"baseURL": "http://localhost:8000/v1", "apiKey": "{env:ORCESTATOR_API_KEY}"}
    assert {name: model["limit"] for name, model in provider["models"].items()} == {
        "orcestator": {"context": 128_000, "output": 16_384},
        "careful": {"context": 65_536, "output": 8_192},
    }
    assert config["model"] == "orcestator/orcestator"


def test_continue() -> None:
    """Limits, abilities, and the key from .env beside the file."""
    files = texts("continue", GUARDED)
    config = yaml.safe_load(files.pop(PurePosixPath("/home/me/.continue/config.yaml")))
    assert files == {PurePosixPath("/home/me/.continue/.env"): f"ORCESTATOR_API_KEY={KEY}\n"}
    model = config["models"][0]
    assert model["apiKey"] == "${{ secrets.ORCESTATOR_API_KEY }}"
    assert model["capabilities"] == ["tool_use", "image_input"]
    assert model["defaultCompletionOptions"] == {"contextLength": 128_000, "maxTokens": 16_384}


def test_cline() -> None:
    """As the program's own ``cline auth`` writes it, with the limits."""
    config = json.loads(first("cline"))
    entry = config["providers"]["openai-compatible"]
    assert (config["version"], config["lastUsedProvider"], entry["tokenSource"]) == (1, "openai-compatible", "manual")
    assert entry["settings"] == {
        "provider": "openai-compatible", "apiKey": "any", "model": "orcestator", "baseUrl": "http://localhost:8000/v1",
        "maxTokens": 16_384, "contextWindow": 128_000,
    }  # fmt: skip
    assert "Context Window Size: 128000" in said("cline")


def test_aider() -> None:
    """The model with litellm's prefix in both files."""
    conf, metadata = texts("aider").values()
    assert yaml.safe_load(conf)["model"] == "openai/orcestator"
    assert json.loads(metadata)["openai/careful"]["max_input_tokens"] == 65_536


def test_zed() -> None:
    """No key in the file, and the variable that Zed makes of the provider's name in the steps."""
    section = json.loads(first("zed"))["language_models"]["openai_compatible"]["orcestator"]
    assert [model["max_tokens"] for model in section["available_models"]] == [128_000, 65_536]
    assert section["available_models"][1]["capabilities"]["images"] is False
    assert "ORCESTATOR_API_KEY" in said("zed")


def test_gemini_cli() -> None:
    """Login by key in one file, address and key in the other."""
    settings, env = texts("gemini-cli").values()
    assert json.loads(settings) == {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "model": {"name": "orcestator"},
    }
    assert env == "GOOGLE_GEMINI_BASE_URL=http://localhost:8000\nGEMINI_API_KEY=any\n"


def test_copilot_cli() -> None:
    """Variables, in the language of the system's shell."""
    lines = [shlex.split(line) for line in first("copilot-cli").splitlines()]
    assert ["export", "COPILOT_PROVIDER_MAX_PROMPT_TOKENS=111616"] in lines
    assert "$env:COPILOT_MODEL = 'orcestator'\n" in first("copilot-cli", machine=WINDOWS)


def test_llm() -> None:
    """A name for llm and the name for the server."""
    entries = yaml.safe_load(first("llm"))
    assert [(entry["model_id"], entry["model_name"]) for entry in entries] == [
        ("orcestator", "orcestator"),
        ("orcestator/careful", "careful"),
    ]


def test_every_client_is_on_its_page() -> None:
    """With its command first."""
    blocks = [block.text.splitlines()[0] for block in page("docs/clients.md").blocks("bash")][1:]
    assert [line.split()[2] for line in blocks] == list(CLIENTS)


def test_n8n() -> None:
    """Steps only, with the address as a container sees it."""
    assert texts("n8n") == {}
    assert "http://host.docker.internal:8000/v1" in said("n8n")

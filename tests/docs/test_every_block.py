"""Whatever a page shows as YAML, JSON, Python or a command can be taken as it stands: it is read here as those who copy it would have it read."""

import json
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from orcestator.settings import load
from orcestator.settings.environment import Variables, read_variables
from orcestator.settings.loading import SECTIONS
from orcestator.settings.sources import BY_PATH
from orcestator.settings.yaml_file import parsed_yaml, snake_case
from tests.docs.pages import ROOT, Block, all_pages
from tests.docs.test_readme import UNLISTED_FLAGS, flags_of

SHELLS = ("bash", "sh", "powershell")
LANGUAGES = {"", "text", "mermaid", "dotenv", "python", "json", "yaml", *SHELLS}
"""Blocks of any other language would be read by nobody but the reader."""
_REFERENCE = re.compile(r"\$\{(\w+)")
_INLINE = re.compile(r"(?<!`)`([a-z_]+: [^`\n]+)`(?!`)")
_INDENTED = re.compile(r"^ {4}((?:orcestator|python -m orcestator)[ .].*)$", re.MULTILINE)
_PROGRAM = re.compile(r"orcestator(?:\.(?:controller|proxy_worker|api_server))?\Z")
_OPERATORS = frozenset({"|", "&&", "||", ";", ">", "&", "<"})


def is_yaml(text: str) -> bool:
    """A part that was left out is told by dots; an event of a stream is no YAML."""
    return "…" not in text and not text.startswith(("data: ", "event: "))


BLOCKS = [(page, block) for page in all_pages() for block in page.blocks()]
INLINE = [(page, text) for page in all_pages() for text in _INLINE.findall(page.prose) if is_yaml(text)]
COMMANDS = sorted(
    {line for page in all_pages() for line in _INDENTED.findall(page.text)}
    | {
        line.strip()
        for _, block in BLOCKS
        if block.kind.split(" ")[0] in SHELLS
        for line in block.text.replace("\\\n", " ").splitlines()
    }
)


def named(pages_block: Any) -> str:
    page, block = pages_block
    return f"{page.path.relative_to(ROOT)} {block}"


def of_language(language: str) -> Any:
    found = [pair for pair in BLOCKS if pair[1].kind.split(" ")[0] == language]
    return pytest.mark.parametrize("block", [pair[1] for pair in found], ids=[named(pair) for pair in found])


def test_every_block_is_of_a_language_that_is_read() -> None:
    assert {block.kind.split(" ")[0] for _, block in BLOCKS} <= LANGUAGES


@of_language("yaml")
def test_yaml(block: Block, tmp_path: Path) -> None:
    """A configuration is loaded; what is for another program is YAML."""
    values = {name: f"value-of-{name.lower()}" for name in _REFERENCE.findall(block.text)}
    tree = parsed_yaml(block.text, "the block", read_variables(values, None))
    if not is_configuration(tree.nodes):
        assert isinstance(yaml.safe_load(block.text), dict)
        return
    path = tmp_path / "config.yaml"
    path.write_text(block.text, "utf-8")
    # A provider that is named has a key: which one, its own page says.
    keys = {f"{name.upper().replace('-', '_')}_API_KEY": "k" for name in provider_names(tree.nodes)}
    found = load({**keys, **values}, dotenv_path=None, config_path=str(path))
    assert not found.sandbox_fallback or "providers" not in tree.nodes


def is_configuration(nodes: dict[str, Any]) -> bool:
    known = {name.partition(".")[0] for name in BY_PATH} | SECTIONS
    return {snake_case(name) for name in nodes} <= known


def provider_names(nodes: dict[str, Any]) -> list[str]:
    section = nodes.get("providers")
    return list(section.nodes) if section is not None else []


@pytest.mark.parametrize("text", [text for _, text in INLINE], ids=lambda text: text[:60])
def test_yaml_within_a_sentence(text: str) -> None:
    """As ``api_keys: [${A}, ${B}]``."""
    values = dict.fromkeys(_REFERENCE.findall(text), "value")
    assert parsed_yaml(text + "\n", "the sentence", read_variables(values, None)).nodes


@of_language("json")
def test_json(block: Block) -> None:
    json.loads(block.text)


@of_language("python")
def test_python(block: Block) -> None:
    """What is no whole program is a part of one, as an entry of a table."""
    try:
        compile(block.text, "the block", "exec")
    except SyntaxError:
        compile(f"[\n{block.text}]", "the block", "exec")


@pytest.mark.parametrize("language", ["bash", "sh"])
def test_shells_can_read_their_blocks(language: str) -> None:
    for pair in BLOCKS:
        if pair[1].kind.split(" ")[0] == language:
            read = subprocess.run(["bash", "-n"], input=pair[1].text, capture_output=True, text=True, check=False)
            assert read.returncode == 0, (named(pair), read.stderr)


@pytest.mark.parametrize("line", [line for line in COMMANDS if "orcestator" in line])
def test_commands_are_ours(line: str) -> None:
    """Each program, command and flag exists."""
    words = shlex.split(line.replace("\\", "/"), comments=True)
    for place, word in enumerate(words):
        before = words[:place]
        is_run = not before or before[-1] in _OPERATORS or (before[-1] == "-m" and before[-2].startswith("python"))
        if not (is_run and _PROGRAM.match(word)):
            continue
        rest = [word for word in words[place + 1 :] if not word.startswith("#")]
        command = rest[0] if word == "orcestator" and rest and not rest[0].startswith("-") else ""
        flags = flags_of_program(f"{word} {command}".strip())
        for given in rest:
            if given in _OPERATORS:
                break
            if given.startswith("--"):
                assert given.partition("=")[0] in flags | UNLISTED_FLAGS, (given, line)


@cache
def flags_of_program(program: str) -> frozenset[str]:
    return frozenset(flags_of(program)) | {"--version"}


@pytest.mark.parametrize("line", [line for line in COMMANDS if re.search(r"\bscripts[/\\]", line)])
def test_scripts_exist(line: str) -> None:
    for path in re.findall(r"\bscripts[/\\][\w./\\-]+", line):
        assert (ROOT / path.replace("\\", "/")).exists(), line


def test_files_that_commands_name_exist() -> None:
    """Those of the checkout; the others are the reader's."""
    for line in COMMANDS:
        for path in re.findall(r"\b(?:docs|deploy|requirements|tests)/[\w./-]+", line):
            assert (ROOT / path).exists(), line


def test_nothing_is_left_out() -> None:
    """The searches above find what there is."""
    assert len(COMMANDS) > 40
    assert any("api_keys: [${" in text for _, text in INLINE)
    assert Variables({}).get("NOBODY") is None

"""What is written about the settings is what they are."""

import re
from pathlib import Path

import pytest

from orcestator.providers.rows import ROWS
from orcestator.settings import Settings, documents, load
from orcestator.settings.sources import TABLE

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / documents.GUIDE).read_text(encoding="utf-8")
REMEDY = (
    "run: python -c \"import pathlib; from orcestator.settings import documents; documents.write(pathlib.Path('.'))\""
)


def test_env_example_is_the_table():
    assert (ROOT / documents.ENV_EXAMPLE).read_text(encoding="utf-8") == documents.env_example(), REMEDY


def test_the_guide_has_the_tables():
    assert documents.guide(GUIDE) == GUIDE, REMEDY


def test_the_page_about_providers_is_the_rows():
    assert (ROOT / documents.PROVIDERS).read_text(encoding="utf-8") == documents.providers_page(), REMEDY


def test_the_page_about_providers_has_what_people_look_for():
    page = documents.providers_page()
    for provider in ROWS:
        if provider.name != "sandbox":
            (line,) = [line for line in page.splitlines() if line.startswith(f"| `{provider.name}` |")]
            assert provider.title in line
            assert f"`{provider.key_env or provider.base_url_env}`" in line
            assert provider.source in line
            assert provider.free in line
    assert (
        "| `AZURE_OPENAI_API_KEY` or `AZURE_OPENAI_AD_TOKEN`; `AZURE_OPENAI_ENDPOINT` or `AZURE_RESOURCE_NAME` |"
        in page
    )


def test_a_variable_of_two_rows_is_in_the_example_once():
    lines = documents.env_example().splitlines()
    for name in ("GOOGLE_API_KEY", "YANDEX_API_KEY", "YANDEX_FOLDER_ID", "COHERE_API_KEY"):
        assert lines.count(f"# {name}=") == 1


def test_every_setting_and_every_provider_is_in_both():
    example = documents.env_example()
    for row in TABLE:
        assert f"\n# {row.variable}=" in example
        assert f"| `{row.variable}`" in GUIDE
    for provider in ROWS:
        assert f"| `{provider.name}` |" in GUIDE
        assert provider.key_env in example


def test_env_example_loads_as_it_stands_and_changes_nothing(tmp_path):
    path = tmp_path / ".env"
    path.write_text(documents.env_example(), encoding="utf-8")
    assert load({}, dotenv_path=str(path)) == load({}, dotenv_path=None)


def test_the_defaults_in_env_example_are_the_defaults(tmp_path):
    shown = [line.removeprefix("# ") for line in documents.env_example().splitlines() if line.startswith("# OR_")]
    path = tmp_path / ".env"
    path.write_text("\n".join(shown), encoding="utf-8")
    found, default = load({}, dotenv_path=str(path)), load({}, dotenv_path=None)
    assert len(shown) == len(TABLE)
    for row in TABLE:
        assert getattr(found, row.name) == getattr(default, row.name) == getattr(Settings(), row.name)


def test_the_guide_must_have_its_parts():
    with pytest.raises(ValueError, match="has no part <!-- providers -->"):
        documents.guide("no parts")


def test_the_example_configuration_loads_and_is_acted_on():
    keys = {"OPENROUTER_API_KEY": "k", "DEEPSEEK_API_KEY": "k"}
    found = load(keys, dotenv_path=None, config_path=str(ROOT / "config.example.yaml"))
    assert [provider.row.name for provider in found.providers] == ["deepseek", "openrouter"]
    assert (found.not_yet, found.notices) == ((), ())


EXAMPLES = sorted((ROOT / "docs" / "config-examples").glob("*.yaml"))
GIVEN = {
    name: f"value-of-{name}"
    for path in EXAMPLES
    for name in re.findall(r"\$\{(\w+)\}", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_loads_is_acted_on_and_is_spoken_of(path):
    found = load(GIVEN, dotenv_path=None, config_path=str(path))
    assert (found.not_yet, found.notices) == ((), ())
    assert f"(config-examples/{path.name})" in GUIDE


def test_the_examples_in_the_guide_load(tmp_path):
    parts = [part.partition("```")[0] for part in GUIDE.split("```yaml\n")[1:]]
    assert len(parts) == 2
    path = tmp_path / "c.yaml"
    path.write_text("".join(parts), encoding="utf-8")
    found = load({"GROQ_API_KEY": "k"}, dotenv_path=None, config_path=str(path))
    assert [provider.row.name for provider in found.providers] == ["groq", "our-gpu"]
    assert set(found.public_aliases()) == {
        *(
            "deepseek-r1",
            "openrouter/deepseek-r1",
            "deepseek/deepseek-r1",
            "fast",
            "careful",
            "cheap",
            "layered",
            "quick",
        ),
    }
    assert [rule.id for rule in found.rules] == ["rule-1", "small"]
    assert found.not_yet == ()


def test_the_messages_in_the_guide_are_the_messages(tmp_path, refusal):
    yaml = "\n" * 10 + "routing:\n  maxRetrys: 3\n"
    for sentence in (refusal(yaml=yaml), refusal({"OR_PROT": "1"}), refusal(dotenv="\n\nOR_PORT=80a\n")):
        assert f"    {sentence}\n" in GUIDE

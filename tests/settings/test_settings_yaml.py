"""The YAML file: names in both cases, lines in messages, variables replaced, nothing unknown let through."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orcestator.errors import StartupProblem
from orcestator.settings import load
from orcestator.settings.loading import SECTIONS
from orcestator.settings.sources import BY_PATH
from orcestator.settings.yaml_file import snake_case


@pytest.mark.parametrize("key", ["max_body_bytes", "maxBodyBytes", "max-body-bytes", "MaxBodyBytes"])
def test_a_key_may_be_written_in_several_ways(loaded, key):
    assert loaded(yaml=f"{key}: 2048\n").max_body_bytes == 2048


def test_values_may_be_lists_or_texts_with_commas(loaded):
    assert loaded(yaml="default_model: [a, b]\n").default_model == ("a", "b")
    assert loaded(yaml="default_model: a, b\n").default_model == ("a", "b")


def test_null_says_nothing(loaded):
    found = loaded(yaml="port:\ncache:\nproviders: ~\nmodels:\naliases: null\nhost: ~\n")
    assert (found.port, found.host, found.not_yet) == (8000, "0.0.0.0", ())


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}\n"])
def test_an_empty_file_says_nothing(loaded, text):
    assert loaded(yaml=text).port == 8000


def test_variables_are_replaced_from_the_environment_and_dotenv(loaded):
    text = "host: ${A}-${B}\nport: ${P:-8123}\nlog_file: ${L:-}x\nstate_dir: $A {A} ${}\n"
    found = loaded({"A": "a"}, dotenv="B=b\n", yaml=text)
    assert (found.host, found.port, found.log_file, found.state_dir) == ("a-b", 8123, "x", "$A {A} ${}")


def test_a_replaced_value_cannot_add_keys(loaded):
    assert loaded({"A": "x, port: 1"}, yaml="host: ${A}\n").host == "x, port: 1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n", "config.yaml, line 1: a is not a setting"),
        ("\nprot: 1\n", "config.yaml, line 2: prot is not a setting; the nearest is port."),
        ("provider:\n  x: 1\n", "config.yaml, line 1: provider is not a setting; the nearest is providers."),
        ("routing:\n  maxRetrys: 3\n", "config.yaml, line 2: routing.maxRetrys is not a setting; the nearest is max_retries."),
        ("routing:\n  fallback:\n    modle: x\n", "config.yaml, line 3: routing.fallback.modle is not a setting; the nearest is model."),
        ("routing: 3\n", "config.yaml, line 1: routing is not a setting"),
        ("config: x.yaml\n", "config.yaml, line 1: config is not a setting"),
        ("port: 1\nport: 2\n", "config.yaml, line 2: port is there a second time; the first is in line 1."),
        ("logLevel: info\nlog_level: info\n", "config.yaml, line 2: log_level is there a second time; the first is in line 1."),
        ("port: 1\norchestrator:\n  port: 2\n", "config.yaml, line 3: orchestrator.port says the same as port in line 1; keep one."),
        ("port: [1, 2]\n", "config.yaml, line 1: port must be one value, not a list."),
        ("port:\n  x: 1\n", "config.yaml, line 1: port must be a value, not a section."),
        ("default_model: [a, [b]]\n", "config.yaml, line 1: default_model[1] must be a single value."),
        ("host: ${NOBODY}\n", "config.yaml, line 1: host refers to ${NOBODY}, which is not set."),
        ("port: 99999\n", "config.yaml, line 1: port must be a whole number from 0 to 65535, not '99999'."),
        ("- a\n", "config.yaml, line 1: the file must be a mapping of keys to values."),
        ("? [a]\n: 1\n", "config.yaml, line 1: the file has a key that is not a word."),
        ("a: [1\n", "config.yaml, line 2: this is not YAML: "),
        ("a: 1\n\tb: 2\n", "config.yaml, line 2: this is not YAML: "),
        ("a: &x [*x]\n", "config.yaml, line 1: "),
        ("--- 1\n--- 2\n", "config.yaml, line 2: this is not YAML: "),
        ("a: \x01\n", "config.yaml: this is not YAML: "),
        ("providers: [x]\n", "config.yaml, line 1: providers must be a section."),
        ("models: {}\n", "config.yaml, line 1: models must be a list of models."),
        ("models: [x]\n", "config.yaml, line 1: models[0] must be one of the models: keys with values."),
        ("models_file: other.yaml\n", "config.yaml, line 1: models_file names a file that does not exist: other.yaml."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(refusal, text, expected):
    assert refusal(yaml=text).startswith(expected)


def test_anchors_work_and_cannot_grow_without_end(loaded, refusal):
    assert loaded(yaml="host: &h x\nmetrics_host: *h\n").metrics_host == "x"
    bomb = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
        for old, new in zip("abcdef", "bcdefg", strict=True)
    )
    assert "is too large or too deep" in refusal(yaml=bomb)


def test_a_broken_line_with_a_key_in_it_is_not_shown(refusal):
    assert "sk-canary" not in refusal(yaml='providers:\n  openai: {apiKey: "sk-canary-0123456789\n')


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"host: \xff\n")
    with pytest.raises(StartupProblem, match=r"c\.yaml is not UTF-8 text \(byte 6\)"):
        load({}, dotenv_path=None, config_path=str(tmp_path / "c.yaml"))


def test_a_models_file_lies_beside_the_file_that_names_it(loaded, tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "m.yaml").write_text("models: [{name: a, provider: openai}]\n")
    (folder / "c.yaml").write_text("modelsFile: ./m.yaml\n")
    found = load({}, dotenv_path=None, config_path=str(folder / "c.yaml"))
    assert [entry.name for entry in found.models] == ["a"]


KNOWN = {path.partition(".")[0] for path in BY_PATH} | SECTIONS


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ_", min_size=1, max_size=24))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_unknown_key_always_stops_the_start_and_is_named(tmp_path, key):
    path = tmp_path / "c.yaml"
    path.write_text(f"port: 1\n'{key}': 1\n")
    if snake_case(key) not in KNOWN:
        with pytest.raises(StartupProblem, match=f"^c.yaml, line 2: {key} is not a setting"):
            load({}, dotenv_path=None, config_path=str(path))


@given(st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_gives_anything_but_settings_or_one_sentence(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        said = repr(load({}, dotenv_path=None, config_path=str(path)))
    except StartupProblem as refused:
        said = refused.message
    assert said
    assert "\n" not in said


def test_a_reference_may_stand_in_a_list_and_in_a_mapping(loaded):
    text = """
providers:
  groq: {api_keys: [${A}, "${B}", '${C:-c}'], limits: {rpm: ${RPM:-5}}}
  own: {base_url: ${URL}, models: [${M:-x, y]}, z-${A}-${B}]}
"""
    found = loaded({"A": "a,]}", "B": "b:{", "URL": "http://127.0.0.1:1/v1"}, yaml=text)
    own, groq = sorted(found.providers, key=lambda provider: provider.row.name, reverse=True)
    assert [key.reveal() for key in groq.keys] == ["a,]}", "b:{", "c"]
    assert [model.id for model in own.row.models] == ["x, y]", "z-a,]}-b:{"]
    assert groq.limits == {"rpm": 5}


def test_a_reference_in_a_list_that_is_not_set_is_told_as_any_other(refusal, loaded):
    assert refusal(yaml="\ndefault_model: [a, ${NOBODY}]\n") == (
        "config.yaml, line 2: default_model[1] refers to ${NOBODY}, which is not set."
    )
    found = loaded({"A": "a"}, yaml="providers: {groq: {api_keys: [${A}, ${NOBODY}]}}\n")
    assert [key.reveal() for key in found.providers[0].keys] == ["a"]
    assert "groq has fewer keys: NOBODY is not set." in found.notices


@pytest.mark.parametrize("text", ["providers: {groq: {api_key: ${env X}}}\n", "providers: {groq: {api_key: {{X}}}}\n"])
def test_braces_of_others_are_to_be_put_into_quotes(refusal, text):
    assert refusal(yaml=text).endswith("; put a value with braces into quotes.")


MERGED = """
providers:
  pa: &base
    base_url: http://127.0.0.1:1/v1
    api_key: ${K}
    limits: &limits {rpm: 3, rpd: 5}
    models: [m1]
  pb:
    <<: *base
    models: [m2]
    limits: {<<: [{rpm: 9}, *limits], tpm: 7}
"""


def test_sections_are_merged(loaded):
    pa, pb = loaded({"K": "k"}, yaml=MERGED).providers
    assert (pb.base_url, pb.keys, [model.id for model in pb.row.models]) == (pa.base_url, pa.keys, ["m2"])
    assert pb.limits == {"rpm": 9, "rpd": 5, "tpm": 7}


def test_names_stay_as_they_are_written_where_they_are_merged(loaded):
    text = "aliases:\n  <<: &names {MyName: [a/b]}\n  other: [c/d]\n"
    assert set(loaded(yaml=text).aliases) == {"MyName", "other"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("providers:\n  pb:\n    <<: 3\n", "config.yaml, line 3: providers.pb.<< must be a section, or a list of sections."),
        ("a: &a\n  <<: *a\n", "config.yaml, line 1: "),
        ("<<: {prot: 1}\n", "config.yaml, line 1: <<.prot is not a setting; the nearest is port."),
        ("a: &a {x: 1}\nproviders:\n  pb: {<<: *a}\n", "config.yaml, line 1: a is not a setting"),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_is_said_with_its_line(refusal, text, expected):
    assert refusal(yaml=text).startswith(expected)

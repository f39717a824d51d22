"""Where values come from, which source wins, and what happens to what cannot be understood."""

import os
import sys
from typing import get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orcestator.errors import StartupProblem
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.planning.strategies.strategy import TIER_SECONDS
from orcestator.settings import Settings, load, spoken_variables
from orcestator.settings.choices import STRATEGY_SYNONYMS, StrategyName
from orcestator.settings.model_choice import SPEED_TIERS
from orcestator.settings.sources import BY_NAME, BY_VARIABLE, NOT_IN_TABLE, TABLE
from orcestator.settings.table import GROUPS

CANARY = "sk-canary-0123456789"


def test_the_defaults_are_those_of_the_contract(loaded):
    found = loaded()
    assert (found.host, found.port, found.controller_port, found.metrics_port) == ("0.0.0.0", 8000, 21001, 8001)
    assert (found.default_model, found.log_file, found.db_path) == (("openai/gpt-4o",), "logs/traffic.log", "")
    assert (found.log_level, found.attempts, found.drain_seconds) == ("info", 3, 10.0)
    assert (found.max_body_bytes, found.max_reply_bytes) == (33_554_432, 64 << 20)


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setitem(os.environ, "OR_PORT", "1234")
    assert load(dotenv_path=None).port == 1234


def test_the_command_line_comes_first_then_the_environment_then_dotenv_then_the_file(loaded):
    sources = {
        "yaml": "port: 1\nhost: file\nmax_n: 2\nmax_stop: 2\n",
        "dotenv": "OR_PORT=2\nOR_HOST=dotenv\nOR_MAX_N=3\n",
    }
    found = loaded({"OR_PORT": "3", "OR_HOST": "environment"}, **sources, port=4)
    assert (found.port, found.host, found.max_n, found.max_stop) == (4, "environment", 3, 2)


def test_an_empty_value_says_nothing(loaded):
    assert loaded({"OR_PORT": "", "OR_API_KEY": " "}, dotenv="OR_HOST=\n", port=None).port == 8000


def test_quotes_around_a_variable_are_no_part_of_it(loaded):
    """Env files of Docker and ``set`` of Windows keep them."""
    quoted = {"OR_PORT": '"81"', "GROQ_API_KEY": "'sk-quoted' ", "OR_DB_PATH": '""', "HTTPS_PROXY": '"http://proxy:1"'}
    found = loaded(quoted | {"OR_CALLER_KEYS": '"a","b"'}, dotenv="OR_DB_PATH=rows.db\n")
    assert (found.port, found.db_path, found.upstream_proxy.reveal()) == (81, "rows.db", "http://proxy:1")
    assert [key.reveal() for key in found.providers[0].keys] == ["sk-quoted"]
    assert [key.reveal() for key in found.caller_keys] == ['"a"', '"b"']


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_a_dotenv_that_is_no_file_is_no_missing_one(refusal, tmp_path):
    """Docker makes a folder of a file to mount that is not there; a link may lead to what was swapped away."""
    (tmp_path / ".env").mkdir()
    assert refusal().startswith(".env is no file that can be read")
    (tmp_path / ".env").rmdir()
    (tmp_path / ".env").symlink_to(tmp_path / "gone")
    assert refusal().startswith(".env is no file that can be read")
    (tmp_path / "gone").symlink_to(os.devnull)
    assert load({}).port == 8000
    (tmp_path / "gone").unlink()
    (tmp_path / "gone").write_text("OR_PORT=82\n", "utf-8")
    assert load({}).port == 82


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all"
)
def test_a_folder_that_may_not_be_entered_is_named(refusal, tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private").chmod(0)
    try:
        assert refusal({"OR_CONFIG": "private/c.yaml"}) == "private/c.yaml cannot be read (Permission denied)."
    finally:
        (tmp_path / "private").chmod(0o700)


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_variable_hides_no_line_of_dotenv(loaded, nothing):
    """Compose makes one of ``${NAME:-}``. The order of the sources is that of those that say something."""
    dotenv = (
        "OR_PORT=1234\nGROQ_API_KEY=sk-file\nGROQ_API_KEY_2=sk-second\nOR_CALLER_KEYS=abc\nOR_ADMIN_TOKEN=t-123\n"
        "LOG_LEVEL=debug\nGROQ_BASE_URL=http://127.0.0.1:9/v1\nOR_HOST=${NAME}\n"
    )
    names = [line.partition("=")[0] for line in dotenv.split()]
    found = loaded(dict.fromkeys(names, nothing) | {"NAME": "::1"}, dotenv=dotenv, yaml="port: 99\n")
    (groq,) = found.providers
    assert (found.port, found.host, found.log_level) == (1234, "::1", "debug")
    assert [key.reveal() for key in (*found.caller_keys, found.admin_token)] == ["abc", "t-123"]
    assert [key.reveal() for key in groq.keys] == ["sk-file", "sk-second"]
    assert groq.base_url == "http://127.0.0.1:9/v1"


def test_an_empty_variable_hides_no_line_that_a_reference_is_to(loaded):
    assert loaded({"A": ""}, dotenv="A=::1\nOR_HOST=${A}\n").host == "::1"
    assert loaded({"A": ""}, dotenv="A=::1\n", yaml="host: ${A}\n").host == "::1"


def test_an_empty_line_takes_nothing_back(loaded):
    assert loaded(dotenv="OR_PORT=1234\nOR_PORT=\n", yaml="port: 99\n").port == 1234


def test_supervised_programs_are_given_what_dotenv_says(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("GROQ_API_KEY=sk-file\n")
    monkeypatch.setitem(os.environ, "GROQ_API_KEY", "")
    assert spoken_variables(str(tmp_path / ".env"))["GROQ_API_KEY"] == "sk-file"


@pytest.mark.parametrize("environ", [{}, {"OR_PORT": ""}])
def test_a_reference_to_nothing_stops_the_start_where_it_is_a_setting(refusal, loaded, environ):
    sentence = ".env, line 2: OR_PORT refers to ${UNDEFINED}, which is not set."
    assert refusal(environ, dotenv="# port\nOR_PORT=${UNDEFINED}\n") == sentence
    assert loaded({"OR_PORT": "5"}, dotenv="OR_PORT=${UNDEFINED}\n").port == 5
    assert loaded(dotenv="OR_PORT=${UNDEFINED:-5}\n").port == 5
    found = loaded(dotenv="GROQ_API_KEY=${UNDEFINED}\n")
    assert found.sandbox_fallback
    assert ".env, line 1: GROQ_API_KEY refers to ${UNDEFINED}, which is not set." in found.notices


def test_a_line_that_sets_nothing_is_told(loaded):
    told = ".env, line 1: GROQ_API_KEY is not set by this line: there is no = in it."
    assert told in loaded(dotenv="GROQ_API_KEY\n").notices
    assert told not in loaded({"GROQ_API_KEY": "sk-1"}, dotenv="GROQ_API_KEY\n").notices


def test_a_name_in_small_letters_is_told(refusal, loaded):
    assert refusal(dotenv="or_port=1\n") == ".env, line 1: or_port is not a setting; the nearest is OR_PORT."
    found = loaded({"or_port": "1"}, dotenv="groq_api_key=sk-1\nsomething=else\n")
    assert found.notices == (".env, line 1: groq_api_key is not read: its name is GROQ_API_KEY, in capitals.",)


@pytest.mark.parametrize("text", ["os.environ/X", "$X", "{{X}}", "${env:X}", "%X%", "env:X"])
def test_another_programs_reference_is_told(loaded, text):
    found = loaded({"OR_CALLER_KEYS": f"abc,{text}"}, yaml=f'providers: {{groq: {{api_key: "{text}"}}}}\n')
    assert [notice.partition(" looks like")[0] for notice in found.notices] == ["OR_CALLER_KEYS", "the key of groq"]
    assert not any(text in notice for notice in found.notices), "a secret that only looks like one is not shown"
    assert not loaded({"OR_CALLER_KEYS": "sk-1,a$b"}).notices


def test_our_name_comes_before_another_programs_name(loaded):
    assert loaded({"LOG_LEVEL": "debug", "OR_LOG_LEVEL": "error"}).log_level == "error"
    assert loaded({"LOG_LEVEL": "warn"}).log_level == "warning"


def test_a_shells_host_variable_does_not_move_the_server(loaded):
    assert loaded({"HOST": "my-laptop"}).host == "0.0.0.0"
    assert loaded(dotenv="HOST=127.0.0.1\n").host == "127.0.0.1"


def test_numbers_of_other_programs_are_converted(loaded):
    found = loaded({"MAX_RETRIES": "3", "RETRY_DELAY_MS": "1000"})
    assert (found.attempts, found.first_backoff_seconds) == (4, 1.0)


def test_dotenv_understands_quotes_comments_and_references(loaded):
    found = loaded(
        {"NAME": "x"}, dotenv="# c\n\nexport OR_HOST=\"a b\" # c\nOR_LOG_FILE='${NAME}.log'\nOR_DB_PATH=${OR_HOST}.db\n"
    )
    assert (found.host, found.log_file, found.db_path) == ("a b", "x.log", "a b.db")


def test_lists_are_split_and_keep_their_order(loaded):
    assert loaded({"OR_DEFAULT_MODEL": " b, a ,,b"}).default_model == ("b", "a")
    assert loaded(default_model=["x", "y"]).default_model == ("x", "y")


def test_networks_are_parsed(loaded):
    assert list(map(str, loaded({"OR_WORKER_NETWORKS": "10.0.0.0/8,fd00::/8"}).worker_networks)) == [
        "10.0.0.0/8",
        "fd00::/8",
    ]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OR_PROT": "1"}, "environment: OR_PROT is not a setting; the nearest is OR_PORT."),
        ({"OR_PORT": "80a"}, "environment: OR_PORT must be a whole number from 0 to 65535, not '80a'."),
        ({"OR_PORT": "70000"}, "environment: OR_PORT must be a whole number from 0 to 65535, not '70000'."),
        ({"OR_MAX_N": "0"}, "environment: OR_MAX_N must be a whole number from 1 to 128, not '0'."),
        ({"OR_DRAIN_SECONDS": "nan"}, "environment: OR_DRAIN_SECONDS must be a number from 0 to 86400, not 'nan'."),
        ({"OR_DRAIN_SECONDS": "5s"}, "environment: OR_DRAIN_SECONDS must be a number from 0 to 86400, not '5s'."),
        ({"OR_PORT": "9" * 5000}, f"environment: OR_PORT must be a whole number from 0 to 65535, not '{'9' * 60}…'."),
        ({"OR_KEEPALIVE_COUNTS": "maybe"}, "environment: OR_KEEPALIVE_COUNTS must be true or false, not 'maybe'."),
        ({"OR_LOG_FORMAT": "jsn"}, "environment: OR_LOG_FORMAT must be one of json, text, not 'jsn'; the nearest is json."),
        ({"MAX_RETRIES": "99"}, "environment: MAX_RETRIES must be a whole number from 1 to 20, not '99' (taken as `MAX_RETRIES` plus 1)."),
        ({"OR_HOST": "a\nb"}, "environment: OR_HOST must be one line without control characters."),
        ({"OR_WORKER_NETWORKS": "10.0.0.1/8"}, "environment: OR_WORKER_NETWORKS must be networks such as 10.0.0.0/8: 10.0.0.1/8 has host bits set."),
        ({"OR_UPSTREAM_PROXY": "https://proxy:1"}, "environment: OR_UPSTREAM_PROXY must be http://HOST:PORT, with USER:PASSWORD@ before the host where the proxy wants that, or 'none'."),
        ({"OR_CONFIG": "nowhere.yaml"}, "environment: OR_CONFIG names a file that does not exist: nowhere.yaml."),
        ({"OR_MODELS_FILE": "nowhere.yaml"}, "environment: OR_MODELS_FILE names a file that does not exist: nowhere.yaml."),
        ({"OR_ONLY_PROVIDERS": "gorq"}, "environment: OR_ONLY_PROVIDERS names no provider: 'gorq' is not known here; the nearest is groq."),
        ({"OR_FALLBACK_PROVIDER": "deepsek"}, "environment: OR_FALLBACK_PROVIDER names no provider: 'deepsek' is not known here; the nearest is deepseek."),
    ],
)  # fmt: skip
def test_an_impossible_value_is_named(refusal, environ, expected):
    assert refusal(environ) == expected


@pytest.mark.parametrize(
    ("dotenv", "expected"),
    [
        ("A=1\n\n\nOR_PROT=1\n", ".env, line 4: OR_PROT is not a setting; the nearest is OR_PORT."),
        ("A=1\nOR_PORT=x\n", ".env, line 2: OR_PORT must be a whole number from 0 to 65535, not 'x'."),
        ("A=1\nB='open\n", ".env, line 2: this line is not NAME=value (a quote may be open)."),
    ],
)
def test_a_bad_line_of_dotenv_is_named(refusal, dotenv, expected):
    assert refusal(dotenv=dotenv) == expected


def test_a_dotenv_that_is_no_text_is_named(tmp_path):
    (tmp_path / ".env").write_bytes(b"OR_HOST=\xff\n")
    with pytest.raises(StartupProblem, match=r"\.env is not UTF-8 text \(byte 8\)"):
        load({}, dotenv_path=str(tmp_path / ".env"))


def test_an_override_that_is_no_setting_is_named(refusal):
    assert refusal(prot=1) == "command line: prot is not a setting; the nearest is port."


def test_a_secret_is_refused_without_being_shown(refusal):
    for name in ("OR_WORKER_SECRET", "OR_CALLER_KEYS", "OPENAI_API_KEY", "REDIS_URL"):
        sentence = refusal({name: f"{CANARY}\r\nX-Evil: 1"})
        assert sentence.startswith(f"environment: {name} must be printable ASCII without spaces")
        assert CANARY not in sentence


def test_nothing_shows_a_secret_and_the_redactor_gets_them_all(loaded):
    secrets = {name: f"{CANARY}-{n}" for n, name in enumerate(("OPENAI_API_KEY", "OR_WORKER_SECRET", "REDIS_URL"))}
    found = loaded({**secrets, "OR_CALLER_KEYS": f"{CANARY}-a,{CANARY}-b"})
    assert CANARY not in f"{found!r} {found} {found.notices} {found.not_yet} {found.providers}"
    assert set(found.secrets()) == {*secrets.values(), f"{CANARY}-a", f"{CANARY}-b"}


def test_what_is_not_acted_on_yet_is_listed_under_the_name_it_was_given(loaded):
    found = loaded(
        {"REDIS_URL": "redis://r:6379", "OR_PORT": "1"},
        yaml="cache: {enabled: true}\nloadBalancer: {strategy: round-robin}\n",
    )
    assert found.not_yet == ("cache.enabled", "REDIS_URL")
    assert (found.cache_enabled, found.strategy, found.redis_url.reveal()) == (True, "round_robin", "redis://r:6379")


NAMES = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=30)


@given(NAMES.filter(lambda name: "OR_" + name not in BY_VARIABLE and "OR_" + name not in NOT_IN_TABLE))
@example("PROT")
def test_an_unknown_variable_of_ours_always_stops_the_start(name):
    with pytest.raises(StartupProblem, match=f"environment: OR_{name} is not a setting"):
        load({f"OR_{name}": "1"}, dotenv_path=None)


@given(st.dictionaries(st.sampled_from([row.variable for row in TABLE]), st.text(max_size=12), max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_value_gives_anything_but_settings_or_one_sentence(environ):
    try:
        found = load(environ, dotenv_path=None)
    except StartupProblem as refused:
        said = refused.message
        found = None
    else:
        said = ""
    assert isinstance(found, Settings) or (said and "\n" not in said)


def test_the_table_is_complete():
    assert len(BY_VARIABLE) == len(BY_NAME) == len(TABLE)
    for row in TABLE:
        assert row.spec.group in GROUPS
        assert row.spec.doc.endswith(".")


def test_settings_cannot_be_changed(loaded):
    with pytest.raises(AttributeError):
        loaded().port = 1


def test_the_strategies_that_can_be_named_are_those_that_there_are():
    assert set(get_args(StrategyName)) == set(STRATEGIES)
    assert {name for _, name in STRATEGY_SYNONYMS} <= set(STRATEGIES)
    assert set(SPEED_TIERS) == {*TIER_SECONDS} - {""}


@pytest.mark.parametrize(
    ("path", "written", "name", "value"),
    [
        ("strategy", "Least-Busy", "strategy", "shortest_queue"),
        ("loadBalancer.strategy", "weighted", "strategy", "smart"),
        ("routing.strategy", "sticky", "strategy", "sticky"),
        ("autoStrategy", "adaptive", "auto_strategy", "adaptive"),
        ("freeFirst", "yes", "free_first", True),
        ("routing.timeoutSecs", "30", "attempt_timeout_seconds", 30.0),
        ("routing.rateLimitRetries", "0", "rate_limit_retries", 0),
        ("routing.retryDelay", "1500", "retry_delay_seconds", 1.5),
        ("routing.fallback.conditions.maxResponseTime", "2000", "fallback_max_response_seconds", 2.0),
        ("fallback.conditions.minSuccessRate", "0.95", "fallback_min_success_rate", 0.95),
        ("routing.fallback.conditions.maxErrorRate", "0.05", "fallback_max_error_rate", 0.05),
        ("circuitBreaker.successThreshold", "2", "breaker_success_threshold", 2),
        ("notifyMinLevel", "warn", "notify_min_level", "warning"),
        ("lineLength", "0", "line_length", 0),
    ],
)
def test_what_the_routing_is_told(loaded, path, written, name, value):
    yaml = written
    for part in reversed(path.split(".")):
        yaml = f"{{{part}: {yaml}}}"
    found = loaded(yaml=yaml)
    assert getattr(found, name) == value
    assert found.not_yet == ()


def test_secrets_of_the_management_are_secrets(loaded):
    given = {"ADMIN_TOKEN": "t-1", "OR_WEBHOOK_URL": "https://x.example/h-1", "OR_WEBHOOK_SECRET": "s-1"}
    found = loaded({**given, "OR_NOTIFY": "tgram://b-1/c,slack://a-1"})
    assert found.admin_token.reveal() == "t-1"
    assert set(found.secrets()) == {*given.values(), "tgram://b-1/c", "slack://a-1"}
    for text in found.secrets():
        assert text not in repr(found)


@pytest.mark.parametrize(("name", "kind"), [("SSL_CERT_FILE", "file"), ("SSL_CERT_DIR", "folder")])
def test_certificates_that_are_not_there_are_told(loaded, tmp_path, name, kind):
    """OpenSSL says nothing then, and trusts nobody."""
    told = f"environment: {name} names no {kind} that is there: no provider's certificate will be trusted."
    assert told in loaded({name: str(tmp_path / "nowhere")}).notices
    there = tmp_path if kind == "folder" else tmp_path / "ca.pem"
    (tmp_path / "ca.pem").write_text("")
    assert told not in loaded({name: str(there)}).notices

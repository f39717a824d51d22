"""A configuration that is changed while requests run: put in place whole or not at all, and no stream notices."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, clean_environment, events_of, text_of, until

TOKEN = {"OR_ADMIN_TOKEN": "admin-token-of-the-test"}
ADMIN = {"authorization": "Bearer admin-token-of-the-test"}


def config(address: str, *, models: str, more: str = "") -> str:
    return f"""
providers:
  alpha: {{base_url: "{address}", api_key: "alpha-key", default_model: echo}}
{more}
aliases:
{models}
routing: {{maxRetries: 2}}
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(
    request: pytest.FixtureRequest, sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    text = config(sandbox.base_url, models="  first: [alpha/echo]")
    with Cluster(tmp_path_factory.mktemp("reload"), text, request.param, TOKEN) as running:
        yield running


@pytest.fixture(autouse=True)
def as_it_was(cluster: Cluster, sandbox: SandboxThread) -> Iterator[None]:
    yield
    write(cluster, config(sandbox.base_url, models="  first: [alpha/echo]"))
    reloaded(cluster)
    until(
        lambda: names(cluster) >= {"first"} and not names(cluster) & {"second", "beta/echo"}, "the first state is back"
    )


def write(cluster: Cluster, text: str) -> None:
    written = cluster.directory / "config.yaml.new"
    written.write_text(text, "utf-8")
    written.replace(cluster.directory / "config.yaml")


def reloaded(cluster: Cluster) -> httpx.Response:
    return cluster.post("/admin/reload", {}, headers=ADMIN)


def names(cluster: Cluster) -> set[str]:
    return {model["id"] for model in cluster.models()}


def test_a_new_alias_and_setting(cluster: Cluster, sandbox: SandboxThread) -> None:
    write(cluster, config(sandbox.base_url, models="  second: [alpha/echo]").replace("maxRetries: 2", "maxRetries: 1"))
    answer = reloaded(cluster)
    assert answer.status_code == 200, answer.text
    changed = {change["name"] for change in answer.json()["applied"]}
    assert {"attempts", "aliases.first", "aliases.second"} <= changed
    assert "second" in names(cluster)
    assert cluster.post("/v1/chat/completions", chat(model="second")).status_code == 200
    assert cluster.post("/v1/chat/completions", chat(model="first")).status_code == 404
    assert cluster.get("/admin/config", headers=ADMIN).json()["settings"]["attempts"] == 1


def test_a_bad_one_changes_nothing(cluster: Cluster, sandbox: SandboxThread) -> None:
    write(cluster, config(sandbox.base_url, models="  second: [alpha/echo]") + "\nroutign: {maxRetries: 5}\n")
    answer = reloaded(cluster)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert "routign" in problem
    assert "config.yaml" in problem
    assert "first" in names(cluster)
    assert cluster.post("/v1/chat/completions", chat(model="first")).status_code == 200


@pytest.mark.parametrize("lost", ["the file's text", "the variable", "the variables and the file's text"])
def test_one_that_leaves_no_provider_changes_nothing(cluster: Cluster, sandbox: SandboxThread, lost: str) -> None:
    """An editor empties a file for a moment: an echo must not answer in place of a model."""
    text = config(sandbox.base_url, models="  first: [alpha/echo]").replace('"alpha-key"', "${ALPHA}")
    variables = cluster.directory / ".env"
    variables.write_text("ALPHA=alpha-key\n", "utf-8")
    write(cluster, text)
    assert reloaded(cluster).status_code == 200
    write(cluster, "" if "file" in lost else text)
    variables.write_text("" if "variable" in lost else "ALPHA=alpha-key\n", "utf-8")

    answer = reloaded(cluster)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert problem.startswith("No provider would be left, so the running ones stay. ")
    assert lost != "the variable" or "alpha is off: ALPHA is not set." in problem
    assert cluster.post("/admin/check", {}, headers=ADMIN).json()["problems"] == [problem]
    process = cluster.program.process
    assert process is not None
    process.send_signal(signal.SIGHUP)
    refused = "the configuration was not reloaded: No provider would be left"
    until(lambda: cluster.program.output().count(refused) > 1, "the signal's reload is refused, too")
    arguments = ["reload", "--env-file", "", "--url", cluster.url, "--token", TOKEN["OR_ADMIN_TOKEN"]]
    asked = subprocess.run(
        [sys.executable, "-m", "orcestator", *arguments], env=clean_environment(), capture_output=True, timeout=50,
        check=False,
    )  # fmt: skip
    assert (asked.returncode, b"No provider would be left" in asked.stdout) == (1, True), asked
    served = cluster.post("/v1/chat/completions", chat(model="first"))
    assert (served.status_code, served.headers["x-orcestator-provider"]) == (200, "alpha")
    variables.unlink()


def test_what_needs_a_restart_is_said(cluster: Cluster, sandbox: SandboxThread) -> None:
    write(cluster, config(sandbox.base_url, models="  first: [alpha/echo]") + "\nlogTextChars: 77\n")
    answer = reloaded(cluster).json()
    assert [change["name"] for change in answer["needs_restart"]] == ["log_text_chars"]


def test_what_the_supervisor_chose_is_no_part_of_the_configuration(cluster: Cluster) -> None:
    """Whoever holds a configuration against the running one has no such secret."""
    settings = cluster.get("/admin/config", headers=ADMIN).json()["settings"]
    assert ("worker_secret" in settings) == (cluster.wiring != "split")
    assert settings["metrics_port"] == cluster.metrics_port


def test_a_provider_comes_and_goes_and_no_stream_notices(cluster: Cluster, sandbox: SandboxThread) -> None:
    """A stream that was open before is whole after the provider that serves it is gone."""
    with SandboxThread() as other:
        more = f'  beta: {{base_url: "{other.base_url}", api_key: "beta-key", default_model: echo}}'
        write(cluster, config(sandbox.base_url, models="  first: [alpha/echo]", more=more))
        cluster.program.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
        until(lambda: "beta/echo" in names(cluster), "the new provider's models are listed", 20)
        call = {**chat("one two three four five six seven eight", model="beta/echo?tps=20"), "stream": True}
        with (
            httpx.Client(timeout=30, trust_env=False) as client,
            client.stream("POST", cluster.url + "/v1/chat/completions", json=call) as response,
        ):
            events = events_of(response)
            received = [next(events)]
            write(cluster, config(sandbox.base_url, models="  first: [alpha/echo]"))
            assert reloaded(cluster).status_code == 200
            received += list(events)
        assert received[-1] == "[DONE]"
        assert text_of(received).endswith("to reach a real model.")
        until(lambda: "beta/echo" not in names(cluster), "its models are gone", 20)


def test_many_reloads_under_load(cluster: Cluster, sandbox: SandboxThread) -> None:
    """None of the requests that run meanwhile fails, whoever reads a file that is just being written."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not stop.is_set():
                statuses.append(client.post(cluster.url + "/v1/chat/completions", json=chat(model="first")).status_code)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for number in range(10):
            asked = len(statuses)
            until(lambda asked=asked: len(statuses) > asked, "another request is answered")  # type: ignore[misc]
            text = config(sandbox.base_url, models=f"  first: [alpha/echo]\n  alias{number}: [alpha/echo]")
            write(cluster, text)
            assert reloaded(cluster).status_code == 200
    finally:
        stop.set()
        asker.join()
    assert set(statuses) == {200}


def test_what_a_reload_would_do_to_the_last_requests(cluster: Cluster, sandbox: SandboxThread) -> None:
    """Nothing of it is in force; the requests after it are no others than before."""
    for _ in range(3):
        assert cluster.post("/v1/chat/completions", chat(model="first")).status_code == 200
    write(cluster, config(sandbox.base_url, models="  first: [alpha/other]\n  second: [alpha/echo]"))
    limit = 3
    outcome = cluster.post(f"/admin/check?requests={limit}", {}, headers=ADMIN).json()
    assert {change["name"] for change in outcome["changes"]} == {"aliases.first", "aliases.second"}
    assert not any(change["needs_restart"] for change in outcome["changes"])
    assert outcome["requests"] == {
        "planned": limit,
        "changed": [
            {"requested": "first", "place": "alpha/echo", "before": limit, "after": 0},
            {"requested": "first", "place": "alpha/other", "before": 0, "after": limit},
        ],
    }
    assert "second" not in names(cluster)
    answer = cluster.post("/v1/chat/completions", {**chat(model="first")}, headers={"x-orcestator-router": "true"})
    assert answer.json()["_router"]["model_name"]
    assert answer.headers["x-orcestator-model"].endswith("echo")


def test_a_provider_more_is_tried_with_the_last_requests(cluster: Cluster, sandbox: SandboxThread) -> None:
    """A provider that runs nowhere yet takes part."""
    assert cluster.post("/v1/chat/completions", chat(model="first")).status_code == 200
    more = f'  beta: {{base_url: "{sandbox.base_url}", api_key: "beta-key", default_model: echo}}'
    write(cluster, config(sandbox.base_url, models="  first: [beta/echo]", more=more))
    outcome = cluster.post("/admin/check?requests=1", {}, headers=ADMIN).json()
    assert [(share["place"], share["after"]) for share in outcome["requests"]["changed"]] == [
        ("alpha/echo", 0),
        ("beta/echo", 1),
    ]


def test_a_bad_configuration_is_told_and_not_tried(cluster: Cluster) -> None:
    write(cluster, "routign: {}")
    answer = cluster.post("/admin/check", {}, headers=ADMIN)
    assert answer.status_code == 400
    assert "routign" in answer.json()["problems"][0]


def test_a_stranger_cannot_reload(cluster: Cluster) -> None:
    assert cluster.post("/admin/reload", {}).status_code == 401

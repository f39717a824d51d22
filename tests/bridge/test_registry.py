"""The worker table and the policy before it: attacks, quarantine, ownership, expiry, dispatch, persistence."""

import base64
import ipaddress
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.bridge.registration_policy import (
    OPEN,
    SECRET_HEADER,
    SHARED,
    UNPROVEN,
    Decision,
    HeartBeat,
    Presented,
    Registration,
    RegistrationPolicy,
    Speaker,
    credential_id,
    is_loopback,
    judge_registration,
    may_administer,
    may_list_offers,
    may_read,
    needs_resolving,
    presented_credential,
    read_heart_beat,
    read_registration,
    read_status,
    require_safe,
    worker_host,
)
from orcestator.bridge.registry import MOST_PENDING, MOST_WORKERS, WorkerRegistry
from orcestator.bridge.worker_entry import HALF_LIFE_SECONDS
from orcestator.errors import InvalidRequest, StartupProblem

HERE = Speaker(OPEN, "127.0.0.1")
ACCEPT = Decision("accept", "test")
QUARANTINE = Decision("quarantine", "test")
SECURED = RegistrationPolicy(on_loopback=False, secret="s3cret")


def registry(**changes) -> WorkerRegistry:
    return WorkerRegistry(draw=random.Random(1).random, **changes)


def registration(name="http://127.0.0.1:9001", models=("m",), *, beats=True, **status) -> Registration:
    worker_status = {"model_names": list(models), "speed": 1, "queue_length": 0, **status}
    return read_registration({"worker_name": name, "check_heart_beat": beats, "worker_status": worker_status})


def basic(user: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


# What a registration may say.


@pytest.mark.parametrize(
    "change",
    [
        {"queue_length": -1e9},
        {"queue_length": -1},
        {"queue_length": 1e7},
        {"queue_length": True},
        {"queue_length": None},
        {"queue_length": "0"},
        {"queue_length": math.inf},
        {"speed": 0},
        {"speed": -1},
        {"speed": 1001},
        {"speed": math.nan},
        {"speed": math.inf},
        {"speed": True},
        {"speed": None},
        {"model_names": "gpt"},
        {"model_names": None},
        {"model_names": ["a" * 129]},
        {"model_names": [""]},
        {"model_names": ["a\n"]},
        {"model_names": ["<script>"]},
        {"model_names": [1]},
        {"model_names": [f"m{i}" for i in range(257)]},
        {"orcestator": "text"},
        {"orcestator": {"models": "x" * (1 << 20)}},
    ],
)
def test_silly_statuses_are_refused(change):
    with pytest.raises(InvalidRequest):
        read_status({"model_names": ["m"], "speed": 1, "queue_length": 0, **change})


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(), st.lists(st.integers())))
def test_no_number_steers_the_dispatch(value):
    try:
        status = read_status({"model_names": ["m"], "speed": value, "queue_length": value})
    except InvalidRequest:
        return
    assert 0 < status.speed <= 1000
    assert 0 <= status.queue_length <= 1_000_000


@pytest.mark.parametrize(
    "name",
    [
        "",
        "localhost:21002",
        "ftp://localhost:1",
        "http://localhost",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost:21002/",
        "http://localhost:21002/path",
        "http://localhost:21002?q",
        "http://localhost:21002#f",
        "http://user:pass@localhost:21002",
        "http://localhost:21002@evil:80",
        "http://local host:21002",
        "http://localhost:21002\n",
        "http://[::1:21002",
        "http://[zz]:21002",
        "http://[1]:21002",
        "http://" + "a" * 300 + ":1",
        None,
        7,
    ],
)
def test_a_worker_name_is_an_address_and_nothing_more(name):
    with pytest.raises(InvalidRequest):
        read_registration({"worker_name": name, "check_heart_beat": True, "worker_status": None})


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("http://localhost:21002", "localhost"),
        ("https://w-1.example.org:443", "w-1.example.org"),
        ("http://[::1]:9", "::1"),
        ("http://10.0.0.1:65535", "10.0.0.1"),
    ],
)
def test_worker_hosts(name, host):
    assert worker_host(name) == host


@pytest.mark.parametrize("body", [None, [], "x", {}, {"worker_name": "http://a:1"}])
def test_foreign_bodies_are_refused(body):
    with pytest.raises(InvalidRequest):
        read_registration(body)
    with pytest.raises(InvalidRequest):
        read_heart_beat(body)


# Who may register.


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("localhost.evil.org", False),
        ("2130706433", False),
        ("127.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("::ffff:8.8.8.8", False),
        ("", False),
    ],
)
def test_only_literal_loopback_counts(host, loopback):
    assert is_loopback(host) is loopback


def test_a_secret_comes_in_three_ways():
    by_basic, path = presented_credential(basic("w1", "s3cret"), "/register_worker")
    assert (by_basic, path) == (Presented("w1", "s3cret"), "/register_worker")
    by_path, path = presented_credential({}, "/w/s3cret/register_worker")
    assert (by_path, path) == (Presented("", "s3cret"), "/register_worker")
    by_header, _ = presented_credential({SECRET_HEADER: "s3cret"}, "/register_worker")
    assert by_header == Presented("", "s3cret")
    ids = [credential_id(SECURED, presented) for presented in (by_basic, by_path, by_header)]
    assert ids == ["basic:w1", SHARED, SHARED]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("w1", "wrong"),
        {"authorization": "Bearer s3cret"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xff:").decode()},
        {SECRET_HEADER: "s3cre"},
        {SECRET_HEADER: "s3cret\udcff"},
    ],
)
def test_anything_else_is_unproven(headers):
    presented, _ = presented_credential(headers, "/register_worker")
    assert credential_id(SECURED, presented) == UNPROVEN


def test_without_a_secret_every_credential_is_open():
    assert credential_id(RegistrationPolicy(), Presented("w1", "whatever")) == OPEN


@pytest.mark.parametrize(
    ("policy", "speaker", "host", "resolved", "action"),
    [
        (RegistrationPolicy(), HERE, "127.0.0.1", set(), "accept"),
        (RegistrationPolicy(), HERE, "localhost", set(), "accept"),
        (RegistrationPolicy(), Speaker(OPEN, "::1"), "::1", set(), "accept"),
        (RegistrationPolicy(), HERE, "10.0.0.5", set(), "quarantine"),
        (RegistrationPolicy(), HERE, "worker.example.org", set(), "quarantine"),
        (RegistrationPolicy(), Speaker(OPEN, "10.0.0.5"), "127.0.0.1", set(), "quarantine"),
        (RegistrationPolicy(), Speaker(OPEN, ""), "127.0.0.1", set(), "quarantine"),
        (SECURED, Speaker(UNPROVEN, "127.0.0.1"), "127.0.0.1", set(), "quarantine"),
        (SECURED, Speaker(SHARED, "127.0.0.1"), "127.0.0.1", set(), "accept"),
        (SECURED, Speaker(SHARED, "10.0.0.5"), "10.0.0.5", set(), "accept"),
        (SECURED, Speaker(SHARED, "::ffff:10.0.0.5"), "10.0.0.5", set(), "accept"),
        (SECURED, Speaker(SHARED, "10.0.0.5"), "127.0.0.1", set(), "quarantine"),
        (SECURED, Speaker(SHARED, "10.0.0.5"), "169.254.169.254", set(), "quarantine"),
        (SECURED, Speaker(SHARED, "10.0.0.5"), "worker", {"10.0.0.5", "10.0.0.6"}, "accept"),
        (SECURED, Speaker(SHARED, "10.0.0.5"), "worker", {"10.9.9.9"}, "quarantine"),
        (SECURED, Speaker(SHARED, "10.0.0.5"), "worker", set(), "quarantine"),
    ],
)
def test_who_is_let_in(policy, speaker, host, resolved, action):
    assert judge_registration(policy, speaker, host, frozenset(resolved)).action == action


def test_an_allowed_network_replaces_the_proof_of_address():
    policy = RegistrationPolicy(on_loopback=False, secret="s", networks=(ipaddress.ip_network("10.9.0.0/16"),))
    speaker = Speaker(SHARED, "192.168.0.1")
    assert judge_registration(policy, speaker, "worker", frozenset({"10.9.1.1"})).action == "accept"
    assert judge_registration(policy, speaker, "worker", frozenset({"10.9.1.1", "8.8.8.8"})).action == "quarantine"


def test_open_registration_takes_everyone():
    policy = RegistrationPolicy(on_loopback=False, accepts_anyone=True)
    assert judge_registration(policy, Speaker(OPEN, "8.8.8.8"), "8.8.4.4").action == "accept"


def test_names_are_resolved_for_proven_speakers_only():
    assert needs_resolving(SECURED, Speaker(SHARED, "10.0.0.5"), "worker")
    assert not needs_resolving(SECURED, Speaker(SHARED, "10.0.0.5"), "10.0.0.5")
    assert not needs_resolving(SECURED, Speaker(UNPROVEN, "10.0.0.5"), "worker")
    assert not needs_resolving(RegistrationPolicy(), HERE, "worker")


def test_listening_beyond_this_machine_needs_a_secret():
    with pytest.raises(StartupProblem, match="worker secret"):
        require_safe(RegistrationPolicy(on_loopback=False))
    require_safe(RegistrationPolicy(on_loopback=True))
    require_safe(SECURED)
    require_safe(RegistrationPolicy(on_loopback=False, accepts_anyone=True))


def test_who_may_read_and_administer():
    here_secured = RegistrationPolicy(on_loopback=True, secret="s")
    assert may_read(here_secured, UNPROVEN)
    assert not may_list_offers(here_secured, UNPROVEN)
    assert may_list_offers(RegistrationPolicy(), OPEN)
    assert not may_read(SECURED, UNPROVEN)
    assert may_read(SECURED, "basic:w1")
    assert not may_administer(SECURED, Speaker(UNPROVEN, "127.0.0.1"))
    assert may_administer(RegistrationPolicy(), HERE)
    anyone = RegistrationPolicy(on_loopback=False, accepts_anyone=True)
    assert not may_administer(anyone, Speaker(OPEN, "10.0.0.5"))


# The table.


def test_a_worker_is_listed_and_addressed():
    table = registry()
    entered = table.register(registration(models=["b", "a"]), HERE, ACCEPT, 0.0)
    assert entered.outcome == "registered"
    assert table.list_models() == ["a", "b"]
    assert table.get_worker_address("a", 0.0) == "http://127.0.0.1:9001"
    assert table.get_worker_address("none", 0.0) == ""


def test_a_quarantined_worker_gets_no_traffic_and_believes_it_is_known():
    table = registry()
    stranger = Speaker(UNPROVEN, "10.0.0.9")
    assert table.register(registration(), stranger, QUARANTINE, 0.0).outcome == "quarantined"
    assert table.list_models() == table.workers() == table.names() == []
    assert table.get_worker_address("m", 0.0) == ""
    assert table.receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 0), stranger, 1.0)
    assert [row["worker_name"] for row in table.pending()] == ["http://127.0.0.1:9001"]


def test_approval_lets_a_worker_in_now_and_when_it_returns():
    table = registry()
    stranger = Speaker(UNPROVEN, "10.0.0.9")
    table.register(registration(), stranger, QUARANTINE, 0.0)
    assert table.approve("http://127.0.0.1:9001", 0.0)
    assert table.list_models() == ["m"]
    assert not table.approve("http://127.0.0.1:9001", 0.0)
    table.expire(1000.0)
    assert table.list_models() == []
    assert table.register(registration(), stranger, QUARANTINE, 1001.0).outcome == "registered"
    other = Speaker(UNPROVEN, "10.0.0.10")
    assert table.register(registration(), other, QUARANTINE, 1002.0).outcome == "quarantined"


def test_a_denied_worker_is_ignored_and_kept_quiet():
    table = registry()
    stranger = Speaker(UNPROVEN, "10.0.0.9")
    table.register(registration(), stranger, QUARANTINE, 0.0)
    assert table.deny("http://127.0.0.1:9001")
    assert not table.deny("http://127.0.0.1:9001")
    assert table.register(registration(), stranger, QUARANTINE, 5.0).outcome == "ignored"
    assert table.receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 0), stranger, 6.0)
    assert table.pending() == []


def test_a_flood_of_ten_thousand_names_is_capped():
    table = registry()
    for number in range(10_000):
        stranger = Speaker(UNPROVEN, f"10.0.{number >> 8}.{number & 255}")
        table.register(registration(f"http://10.0.0.1:{number + 1}"), stranger, QUARANTINE, float(number))
    assert len(table.pending()) == MOST_PENDING


def test_one_peer_adds_one_pending_worker_a_second():
    table = registry()
    stranger = Speaker(UNPROVEN, "10.0.0.9")
    outcomes = [
        table.register(registration(f"http://10.0.0.9:{port}"), stranger, QUARANTINE, now).outcome
        for port, now in ((1, 0.0), (2, 0.5), (3, 1.0))
    ]
    assert outcomes == ["quarantined", "ignored", "quarantined"]


def test_pending_offers_cannot_fill_the_memory():
    table = registry()
    for number in range(50):
        big = registration(f"http://10.0.0.1:{number + 1}", orcestator={"models": "x" * 1_000_000})
        table.register(big, Speaker(UNPROVEN, f"10.0.0.{number}"), QUARANTINE, float(number))
    assert len(table.pending()) == 8


def test_the_table_has_a_cap():
    table = registry()
    for number in range(MOST_WORKERS):
        table.register(registration(f"http://127.0.0.1:{number + 1}"), HERE, ACCEPT, 0.0)
    assert table.register(registration("http://127.0.0.1:5000"), HERE, ACCEPT, 0.0).outcome == "ignored"
    assert table.register(registration("http://127.0.0.1:1"), HERE, ACCEPT, 0.0).outcome == "updated"


def test_heart_beats_count_from_the_registered_speaker_only():
    table = registry()
    table.register(registration(), Speaker("basic:w1", "10.0.0.5"), ACCEPT, 0.0)
    beat = HeartBeat("http://127.0.0.1:9001", 77)
    assert not table.receive_heart_beat(beat, Speaker("basic:w2", "10.0.0.5"), 1.0)
    assert not table.receive_heart_beat(beat, Speaker("basic:w1", "10.0.0.6"), 1.0)
    assert table.workers()[0]["queue_length"] == 0
    assert table.receive_heart_beat(beat, Speaker("basic:w1", "10.0.0.5"), 1.0)
    assert table.workers()[0]["queue_length"] == 77


def test_the_loopback_addresses_are_one_peer():
    table = registry()
    table.register(registration(), Speaker(OPEN, "127.0.0.1"), ACCEPT, 0.0)
    assert table.receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 0), Speaker(OPEN, "::1"), 1.0)


def test_an_unknown_heart_beat_asks_for_a_registration():
    assert not registry().receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 0), HERE, 0.0)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (registration("http://10.0.0.6:1", ["m"]), "model m belongs"),
        (registration("http://10.0.0.5:1", ["n"]), "worker_name belongs"),
        (registration("http://10.0.0.6:1", ["n"], orcestator={"takes_any": True}), "proxy workers belong"),
    ],
)
def test_what_one_credential_serves_another_cannot_claim(second, reason):
    table = registry()
    table.register(registration("http://10.0.0.5:1", ["m"]), Speaker("basic:w1", "10.0.0.5"), ACCEPT, 0.0)
    table.register(registration("http://10.0.0.7:1", ["p"], orcestator={}), Speaker(SHARED, "10.0.0.7"), ACCEPT, 0.0)
    entered = table.register(second, Speaker("basic:w2", "10.0.0.6"), ACCEPT, 1.0)
    assert entered.outcome == "quarantined"
    assert reason in entered.reason
    assert table.list_models() == ["m", "p"]


def test_a_status_check_cannot_steal_a_model_either():
    table = registry()
    table.register(registration("http://10.0.0.5:1", ["m"]), Speaker("basic:w1", "10.0.0.5"), ACCEPT, 0.0)
    table.register(registration("http://10.0.0.6:1", ["n"]), Speaker("basic:w2", "10.0.0.6"), ACCEPT, 0.0)
    stolen = read_status({"model_names": ["m"], "speed": 1, "queue_length": 0})
    table.apply_checks({"http://10.0.0.6:1": stolen}, 1.0)
    assert table.list_models() == ["m", "n"]


def test_the_same_credential_may_run_many_workers_of_one_model():
    table = registry()
    for number in (1, 2):
        speaker = Speaker(SHARED, f"10.0.0.{number}")
        assert table.register(registration(f"http://10.0.0.{number}:1"), speaker, ACCEPT, 0.0).outcome == "registered"


def test_silent_workers_expire_after_two_intervals():
    table = registry(heart_beat_seconds=45.0)
    table.register(registration(), HERE, ACCEPT, 100.0)
    assert table.expire(190.0) == []
    assert table.receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 0), HERE, 189.0)
    assert table.expire(279.0) == []
    assert table.expire(279.1) == ["http://127.0.0.1:9001"]
    assert table.list_models() == []


def test_only_this_machine_may_ask_to_stay_without_heart_beats():
    table = registry()
    table.register(registration(beats=False), HERE, ACCEPT, 0.0)
    table.register(registration("http://10.0.0.5:1", ["n"], beats=False), Speaker(SHARED, "10.0.0.5"), ACCEPT, 0.0)
    assert table.expire(1e6) == ["http://10.0.0.5:1"]


def test_quiet_pending_workers_make_room():
    table = registry()
    table.register(registration(), Speaker(UNPROVEN, "10.0.0.9"), QUARANTINE, 0.0)
    table.expire(1000.0)
    assert table.pending() == []


def test_status_checks_mark_or_remove_and_never_empty_the_table():
    table = registry()
    table.register(registration("http://127.0.0.1:1", ["a"]), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2", ["b"], beats=False), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:3", ["c"]), HERE, ACCEPT, 0.0)
    fresh = read_status({"model_names": ["c", "d"], "speed": 2, "queue_length": 3})
    checks = {
        "http://127.0.0.1:1": None,
        "http://127.0.0.1:2": None,
        "http://127.0.0.1:3": fresh,
        "http://gone:1": None,
    }
    assert table.apply_checks(checks, 1.0) == ["http://127.0.0.1:2"]
    assert table.list_models() == ["a", "c", "d"]
    assert [row["stale"] for row in table.workers()] == [True, False]


def test_a_stale_worker_serves_only_for_want_of_another():
    table = registry()
    table.register(registration("http://127.0.0.1:1"), HERE, ACCEPT, 0.0)
    table.apply_checks({"http://127.0.0.1:1": None}, 0.0)
    assert table.get_worker_address("m", 0.0) == "http://127.0.0.1:1"
    table.register(registration("http://127.0.0.1:2", queue_length=1000), HERE, ACCEPT, 0.0)
    assert {table.get_worker_address("m", 0.0) for _ in range(20)} == {"http://127.0.0.1:2"}


# Dispatch.


def addressed(table: WorkerRegistry, times: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _ in range(times):
        name = table.get_worker_address("m", 0.0)
        counts[name] = counts.get(name, 0) + 1
    return counts


def test_the_least_loaded_worker_is_next():
    table = registry()
    table.register(registration("http://127.0.0.1:1", queue_length=4), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2"), HERE, ACCEPT, 0.0)
    assert addressed(table, 4) == {"http://127.0.0.1:2": 4}
    assert addressed(table, 10) == {"http://127.0.0.1:1": 5, "http://127.0.0.1:2": 5}


def test_reporting_an_empty_queue_all_the_time_gains_nothing():
    table = registry()
    table.register(registration("http://127.0.0.1:1"), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2"), HERE, ACCEPT, 0.0)
    counts: dict[str, int] = {}
    for _ in range(1000):
        table.receive_heart_beat(HeartBeat("http://127.0.0.1:1", 0), HERE, 0.0)
        table.register(registration("http://127.0.0.1:1"), HERE, ACCEPT, 0.0)
        name = table.get_worker_address("m", 0.0)
        counts[name] = counts.get(name, 0) + 1
    assert counts == {"http://127.0.0.1:1": 500, "http://127.0.0.1:2": 500}


def test_handed_out_requests_fade():
    table = registry()
    table.register(registration("http://127.0.0.1:1"), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2", queue_length=3), HERE, ACCEPT, 0.0)
    assert addressed(table, 4)["http://127.0.0.1:1"] == 4
    assert table.get_worker_address("m", 0.0) == "http://127.0.0.1:2"
    assert table.get_worker_address("m", HALF_LIFE_SECONDS) == "http://127.0.0.1:1"


def test_the_lottery_follows_the_speeds():
    table = registry(dispatch="lottery")
    table.register(registration("http://127.0.0.1:1", speed=3), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2", speed=1), HERE, ACCEPT, 0.0)
    counts = addressed(table, 4000)
    assert 2850 < counts["http://127.0.0.1:1"] < 3150


def test_the_last_ticket_of_the_lottery_wins_something():
    table = WorkerRegistry(draw=lambda: 1.0, dispatch="lottery")
    table.register(registration("http://127.0.0.1:1", speed=0.1), HERE, ACCEPT, 0.0)
    assert table.get_worker_address("m", 0.0) == "http://127.0.0.1:1"


def test_the_whole_table_as_one_worker():
    table = registry()
    table.register(registration("http://127.0.0.1:1", ["b"], speed=2, queue_length=1), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2", ["a"], queue_length=4), HERE, ACCEPT, 0.0)
    assert table.status() == {"model_names": ["a", "b"], "speed": 3, "queue_length": 5}


# Version and persistence.


def test_the_version_grows_with_what_is_shown():
    table = registry()
    versions = [table.version]
    steps = [
        lambda: table.register(registration(), HERE, ACCEPT, 0.0),
        lambda: table.register(registration(models=["m", "n"]), HERE, ACCEPT, 0.0),
        lambda: table.apply_checks({"http://127.0.0.1:9001": None}, 0.0),
        lambda: table.receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 5), HERE, 0.0),
        lambda: table.expire(1000.0),
    ]
    for step in steps:
        step()
        versions.append(table.version)
    assert versions == sorted(set(versions))


def test_the_version_stays_when_nothing_shown_changes():
    table = registry()
    table.register(registration(), HERE, ACCEPT, 0.0)
    before = table.version
    table.register(registration(), HERE, ACCEPT, 1.0)
    table.receive_heart_beat(HeartBeat("http://127.0.0.1:9001", 5), HERE, 2.0)
    table.get_worker_address("m", 3.0)
    table.expire(4.0)
    assert table.version == before


def test_a_restored_table_serves_at_once_and_forgets_the_dead():
    table = registry()
    table.register(registration("http://127.0.0.1:1", ["a"], orcestator={"provider": "p"}), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2", ["b"], beats=False), HERE, ACCEPT, 0.0)
    saved = json.loads(json.dumps(table.snapshot()))
    again = registry(heart_beat_seconds=45.0)
    again.restore(saved, 500.0, secured=False)
    assert again.list_models() == ["a", "b"]
    assert again.get_worker_address("a", 500.0) == "http://127.0.0.1:1"
    assert [(row["stale"], row["offer"]) for row in again.workers()] == [(True, {"provider": "p"}), (True, None)]
    assert again.version > table.version
    assert again.receive_heart_beat(HeartBeat("http://127.0.0.1:1", 0), HERE, 510.0)
    assert again.names(only_stale=True) == ["http://127.0.0.1:2"]
    assert again.expire(591.0) == ["http://127.0.0.1:2"]
    assert again.list_models() == ["a"]


def test_a_table_that_was_open_is_not_trusted_once_a_secret_is_set():
    table = registry()
    table.register(registration(), HERE, ACCEPT, 0.0)
    again = registry()
    again.restore(table.snapshot(), 0.0, secured=True)
    assert again.list_models() == []


def test_approvals_survive_a_restart():
    table = registry()
    stranger = Speaker(UNPROVEN, "10.0.0.9")
    table.register(registration(), stranger, QUARANTINE, 0.0)
    table.approve("http://127.0.0.1:9001", 0.0)
    again = registry()
    again.restore(json.loads(json.dumps(table.snapshot())), 0.0, secured=True)
    assert again.list_models() == ["m"]
    assert again.register(registration(), stranger, QUARANTINE, 0.0).outcome == "updated"


@pytest.mark.parametrize(
    "snapshot",
    [
        None,
        [],
        {},
        {"format": 2, "version": 1, "workers": [], "approvals": []},
        {"format": 1, "version": 1, "workers": [{}], "approvals": []},
        {"format": 1, "version": 1, "workers": [], "approvals": [[]]},
        {
            "format": 1,
            "version": 1,
            "workers": [
                {
                    "registration": {"worker_name": "http://a:1", "check_heart_beat": True, "worker_status": None},
                    "speaker": ["open", "127.0.0.1"],
                }
            ],
            "approvals": [],
        },
    ],
)
def test_a_foreign_snapshot_changes_nothing(snapshot):
    table = registry()
    with pytest.raises(ValueError, match=r"."):
        table.restore(snapshot, 0.0, secured=False)
    assert table.workers() == []
    assert table.version == 1


def test_a_worker_leaves_and_nobody_else_can_send_it_away() -> None:
    table = registry()
    table.register(registration(), HERE, ACCEPT, 0.0)
    before = table.version
    assert not table.leave("http://127.0.0.1:9001", Speaker("another", "127.0.0.1"))
    assert not table.leave("http://127.0.0.1:9999", HERE)
    assert table.names() == ["http://127.0.0.1:9001"]
    assert table.leave("http://127.0.0.1:9001", HERE)
    assert table.names() == []
    assert table.version > before


# What our own workers report.


def offer(*checks: tuple[str, str]) -> dict:
    return {"offers": [{"provider": name, "check": {"status": status} if status else {}} for name, status in checks]}


def report(**changes) -> dict:
    return {"calls": 8.0, "successes": 8.0, "seconds": 0.5, "age": 1.0, "is_out": False, **changes}


def beat(name="http://127.0.0.1:1", **reports) -> HeartBeat:
    return read_heart_beat({"worker_name": name, "queue_length": 0, "orcestator": {"reports": reports}})


def two_workers(first: dict | None = None, **changes) -> WorkerRegistry:
    """One of ours with this offer, and a stock one that looks much busier."""
    table = registry(**changes)
    more = {"orcestator": first} if first is not None else {}
    table.register(registration("http://127.0.0.1:1", ["m", "p/x"], **more), HERE, ACCEPT, 0.0)
    table.register(registration("http://127.0.0.1:2", ["m", "p/x"], queue_length=1000), HERE, ACCEPT, 0.0)
    return table


@pytest.mark.parametrize(
    ("checks", "model", "passed_over"),
    [
        ([("p", "down")], "m", True),
        ([("p", "down")], "p/x", True),
        ([("p", "degraded")], "m", False),
        ([("p", "")], "m", False),
        ([("p", "down"), ("q", "operational")], "m", False),
        ([("p", "down"), ("q", "operational")], "p/x", True),
        ([("p", "operational"), ("q", "down")], "p/x", False),
        ([("p", "down"), ("q", "down")], "m", True),
        ([], "m", False),
    ],
)
def test_a_worker_whose_checks_say_down_is_passed_over(checks, model, passed_over):
    table = two_workers(offer(*checks))
    assert table.get_worker_address(model, 0.0) == f"http://127.0.0.1:{2 if passed_over else 1}"


@pytest.mark.parametrize("foreign", [{"offers": 5}, {"offers": [7]}, {"offers": [{"check": 1}]}, {}])
def test_an_offer_of_a_foreign_shape_is_no_reason(foreign):
    assert two_workers(foreign).get_worker_address("m", 0.0) == "http://127.0.0.1:1"


def test_trouble_with_one_model_is_no_trouble_with_another():
    table = two_workers(offer(("p", "")))
    assert table.receive_heart_beat(beat(m=report(is_out=True)), HERE, 1.0)
    assert table.get_worker_address("m", 1.0) == "http://127.0.0.1:2"
    assert table.get_worker_address("p/x", 1.0) == "http://127.0.0.1:1"
    assert [row["out"] for row in table.workers()] == [["m"], []]
    table.receive_heart_beat(beat(m=report()), HERE, 2.0)
    assert table.get_worker_address("m", 2.0) == "http://127.0.0.1:1"


def test_nobody_is_left_without_an_address():
    table = two_workers(offer(("p", "down")))
    table.leave("http://127.0.0.1:2", HERE)
    table.receive_heart_beat(beat(m=report(is_out=True)), HERE, 1.0)
    assert table.get_worker_address("m", 1.0) == "http://127.0.0.1:1"


def test_a_beat_that_says_nothing_leaves_what_was_said():
    table = two_workers(offer(("p", "")))
    table.receive_heart_beat(beat(m=report(is_out=True)), HERE, 1.0)
    table.receive_heart_beat(HeartBeat("http://127.0.0.1:1", 0), HERE, 2.0)
    assert table.get_worker_address("m", 2.0) == "http://127.0.0.1:2"


def test_figures_decide_where_they_are_asked_for():
    table = two_workers({**offer(("p", "")), "reports": {"m": report(successes=2.0, seconds=5.0)}}, dispatch="score")
    assert table.get_worker_address("m", 0.0) == "http://127.0.0.1:2"
    assert table.get_worker_address("p/x", 0.0) == "http://127.0.0.1:1"


def test_a_report_is_no_news_to_api_servers():
    table = two_workers(offer(("p", "")))
    before = table.version
    table.receive_heart_beat(beat(m=report(is_out=True)), HERE, 1.0)
    told = {**offer(("p", "")), "reports": {"m": report()}}
    table.register(registration("http://127.0.0.1:1", ["m", "p/x"], orcestator=told), HERE, ACCEPT, 2.0)
    assert table.version == before
    assert "reports" not in table.workers()[0]["offer"]


def test_a_name_that_was_not_registered_is_not_remembered():
    table = two_workers(offer(("p", "")))
    table.receive_heart_beat(beat(**{f"other{number}": report(is_out=True) for number in range(50)}), HERE, 1.0)
    assert table.workers()[0]["out"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"calls": -1},
        {"calls": math.nan},
        {"calls": True},
        {"successes": 9.0},
        {"seconds": math.inf},
        {"seconds": "1"},
        {"age": -1},
        {"is_out": 1},
        {"is_out": None},
    ],
)
def test_a_silly_report_is_refused(change):
    with pytest.raises(InvalidRequest) as refusal:
        beat(m=report(**change))
    assert refusal.value.param == next(iter(change))

"""Notices over a real socket to a receiver that checks them as any library for such webhooks does."""

import base64
import hashlib
import hmac
import json
import logging

import pytest

from orcestator.errors import StartupProblem
from orcestator.telemetry.background import BackgroundWriter, Undeliverable
from orcestator.telemetry.notices import Notice
from orcestator.telemetry.webhook import TRIES, WebhookTarget, webhook_writer
from tests.telemetry.notice_receiver import Delivery, receiving

GONE = Notice("warning", "deployment_out", "openai/gpt-4o", "openai/gpt-4o is out of use.", at=1_790_000_000.0)
SPENT = Notice("error", "credential_refused", "openai", "A key was refused.", at=1_790_000_001.5, repeats=2)


def signature(delivery: Delivery, key: bytes) -> str:
    signed = f"{delivery.headers['webhook-id']}.{delivery.headers['webhook-timestamp']}.".encode() + delivery.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_several_notices_are_one_post_of_json() -> None:
    with receiving() as receiver:
        writer = webhook_writer(WebhookTarget(f"{receiver.url}/hook?to=ops", "", lambda: 1_790_000_002.9))
        writer(GONE)
        writer(SPENT)
        writer.start()
        writer.close(10)
    (delivery,) = receiver.deliveries
    assert delivery.path == "/hook?to=ops"
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["webhook-timestamp"] == "1790000002"
    assert delivery.headers["webhook-signature"] is None
    sent = json.loads(delivery.body)
    assert sent["level"] == "error"
    assert sent["text"] == "openai/gpt-4o is out of use.\nA key was refused. (2 more since the last notice.)"
    assert sent["notices"][0] == {
        "level": "warning",
        "kind": "deployment_out",
        "subject": "openai/gpt-4o",
        "text": "openai/gpt-4o is out of use.",
        "at": "2026-09-21T14:13:20.000Z",
        "is_solved": False,
        "repeats": 0,
    }
    assert writer.dropped == 0


@pytest.mark.parametrize(
    ("secret", "key"),
    [("plain words", b"plain words"), ("whsec_" + base64.b64encode(b"k" * 24).decode(), b"k" * 24)],
)
def test_a_secret_signs_it(secret: str, key: bytes) -> None:
    with receiving() as receiver:
        WebhookTarget(receiver.url, secret).write([GONE])
    (delivery,) = receiver.deliveries
    assert delivery.headers["webhook-signature"] == signature(delivery, key)


def test_the_signature_scheme_s_own_example() -> None:
    """The example of the specification's libraries: https://github.com/standard-webhooks/standard-webhooks."""
    delivery_key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    expected = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert base64.b64encode(hmac.new(delivery_key, signed, hashlib.sha256).digest()).decode() == expected


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_pass_is_tried_again_with_the_same_id(status: int) -> None:
    target_status = (status, 200)
    with receiving(*target_status) as receiver:
        target = WebhookTarget(receiver.url, "secret")
        writer = BackgroundWriter("webhook", target, keeps_failed=True, most_tries=TRIES, first_pause_seconds=0.0)
        writer.start()
        writer(GONE)
        assert writer.flush(20)
        writer.close(10)
    assert len(receiver.deliveries) == 2
    assert len({delivery.headers["webhook-id"] for delivery in receiver.deliveries}) == 1
    assert (writer.dropped, writer.failed_writes) == (0, 1)


def test_after_four_tries_it_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), receiving(500) as receiver:
        target = WebhookTarget(receiver.url, "")
        writer = BackgroundWriter("webhook", target, keeps_failed=True, most_tries=TRIES, first_pause_seconds=0.0)
        writer.start()
        writer(GONE)
        assert writer.flush(20)
        writer.close(10)
    assert len(receiver.deliveries) == TRIES == 4
    assert writer.dropped == 1
    assert "webhook" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 404, 410, 301, 307])
def test_what_is_refused_or_sent_elsewhere_is_not_tried_again(status: int) -> None:
    with receiving(status) as receiver:
        writer = webhook_writer(WebhookTarget(receiver.url, ""))
        writer.start()
        writer(GONE)
        assert writer.flush(20)
        writer.close(10)
    assert [delivery.path for delivery in receiver.deliveries] == ["/"], "a redirect is not followed"
    assert writer.dropped == 1


def test_a_receiver_that_is_not_there_is_worth_another_try() -> None:
    with receiving() as receiver:
        pass
    with pytest.raises(OSError, match="refused"):
        WebhookTarget(receiver.url, "").write([GONE])


def test_a_redirect_says_so() -> None:
    with receiving(302) as receiver, pytest.raises(Undeliverable, match="never followed"):
        WebhookTarget(receiver.url, "").write([GONE])


@pytest.mark.parametrize(
    ("url", "secret", "named"),
    [
        ("ftp://host/", "", "OR_WEBHOOK_URL"),
        ("host/path", "", "OR_WEBHOOK_URL"),
        ("http://", "", "OR_WEBHOOK_URL"),
        ("http://user:word@host/", "", "OR_WEBHOOK_URL"),
        ("http://host:99999/", "", "OR_WEBHOOK_URL"),
        ("http://host/", "whsec_%%%", "OR_WEBHOOK_SECRET"),
    ],
)
def test_an_impossible_setting_stops_the_start(url: str, secret: str, named: str) -> None:
    with pytest.raises(StartupProblem, match=named):
        WebhookTarget(url, secret)

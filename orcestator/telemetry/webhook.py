"""Sends notices to an address of the administrator's: one POST of JSON for all that came within a second.

The ``Target`` of a ``BackgroundWriter``. It follows no redirect and takes no proxy from the environment: what is sent, and where,
is what the configuration says. A private address is allowed, for that is where such receivers live.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import orjson

from orcestator.errors import StartupProblem
from orcestator.telemetry.background import BackgroundWriter, Undeliverable
from orcestator.telemetry.notices import Notice, headline
from orcestator.telemetry.traffic_log import utc_timestamp

CAPACITY = 1_000
COMPANY_SECONDS = 1.0
"""How long the first notice waits for others: an outage is seldom told by one alone."""
TRIES = 4
FIRST_PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 10.0
"""How long a receiver may say nothing."""
WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
SECRET_PREFIX = "whsec_"


class WebhookTarget:
    """Posts to ``url``, signed with ``secret`` where there is one. Raises StartupProblem for an address that cannot be one."""

    def __init__(self, url: str, secret: str, wall: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise StartupProblem("OR_WEBHOOK_URL must be an http or https address without a user name.")
        try:
            self._port = parts.port
        except ValueError:
            raise StartupProblem("OR_WEBHOOK_URL has an impossible port.") from None
        self._host = parts.hostname
        self._is_secure = parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._key = _key(secret)
        self._wall = wall

    def prepare(self) -> None:
        """Nothing is slow here."""

    def write(self, items: Sequence[Notice]) -> None:
        """Post all of them at once. Raises OSError when that is worth another try, Undeliverable when it is not."""
        body = body_of(items)
        kind = http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", self._path, body, self._headers(body))
            status = connection.getresponse().status
        except http.client.HTTPException as problem:
            raise OSError(f"the receiver's answer cannot be read ({type(problem).__name__})") from problem
        finally:
            connection.close()
        _judge(status)

    def close(self) -> None:
        """No connection is kept."""

    def _headers(self, body: bytes) -> dict[str, str]:
        """Content type and signature as https://www.standardwebhooks.com has them (specification 1.0.0, checked 2026-11).

        The id is the same for every try of the same notices, so that a receiver can know a repetition.
        """
        id = f"msg_{hashlib.sha256(body).hexdigest()[:32]}"
        stamp = str(int(self._wall()))
        headers = {
            "content-type": "application/json",
            "user-agent": "orcestator",
            "webhook-id": id,
            "webhook-timestamp": stamp,
        }
        if self._key:
            signed = hmac.new(self._key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        return headers


def webhook_writer(target: WebhookTarget) -> BackgroundWriter[Notice]:
    """The queue and the thread in front of a webhook: three more tries, after 1, 2 and 4 seconds."""
    return BackgroundWriter(
        "webhook",
        target,
        keeps_failed=True,
        most_tries=TRIES,
        first_pause_seconds=FIRST_PAUSE_SECONDS,
        capacity=CAPACITY,
        window_seconds=COMPANY_SECONDS,
    )


def body_of(notices: Sequence[Notice]) -> bytes:
    """``text`` is for people, and what Slack and Mattermost show; ``notices`` is for programs."""
    level, _ = headline(notices)
    shown = [
        {
            "level": notice.level,
            "kind": notice.kind,
            "subject": notice.subject,
            "text": notice.text,
            "at": utc_timestamp(notice.at),
            "is_solved": notice.is_solved,
            "repeats": notice.repeats,
        }
        for notice in notices
    ]
    text = "\n".join(notice.sentence for notice in notices)
    return orjson.dumps({"source": "orcestator", "level": level, "text": text, "notices": shown})


def _key(secret: str) -> bytes:
    """A secret that begins with ``whsec_`` is base64, as the specification has it; any other is taken as it is."""
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise StartupProblem(f"OR_WEBHOOK_SECRET begins with {SECRET_PREFIX} but is not base64 after it.") from None


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status in WORTH_ANOTHER_TRY or status >= 500:
        raise OSError(f"the receiver answered {status}")
    if 300 <= status < 400:
        raise Undeliverable(f"the receiver answered with a redirect ({status}), which is never followed")
    raise Undeliverable(f"the receiver answered {status}")

"""The sandbox's own routes: its log, its health, a reset. No credential leaves through them."""

from urllib.parse import parse_qs

from orcestator.sandbox.problem import Refused
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.records import RecordLog
from orcestator.sandbox.wire.script import Answer, json_answer

PREFIX = "/sandbox/"


def log_answer(request: Request, log: RecordLog) -> Answer:
    """``GET /sandbox/log?since=N``: the records after number N, newest last."""
    since = parse_qs(request.query).get("since", ["0"])[0]
    if not (since.isascii() and since.isdigit()):
        raise Refused(400, "The parameter 'since' is not a record's number.", param="since")
    shown = [record.shown() for record in log.records if record.number > int(since)]
    return json_answer({"records": shown})


def health_answer() -> Answer:
    """``GET /sandbox/health``."""
    return json_answer({"status": "ok"})

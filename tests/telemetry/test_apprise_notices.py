"""Notices through the real package, to a service of its own that takes JSON over HTTP."""

import json
import sys

import pytest

from orcestator.errors import StartupProblem
from orcestator.telemetry.apprise_notices import AppriseTarget, apprise_writers
from orcestator.telemetry.notices import Notice
from tests.telemetry.notice_receiver import receiving

# The package's own import of a module that Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

GONE = Notice("warning", "deployment_out", "openai/gpt-4o", "openai/gpt-4o is out of use.")
BACK = Notice("warning", "deployment_back", "openai/gpt-4o", "openai/gpt-4o works again.", is_solved=True)


def test_notices_reach_a_service() -> None:
    pytest.importorskip("apprise")
    with receiving() as receiver:
        (writer,) = apprise_writers([f"json://127.0.0.1:{receiver.port}/"])
        writer(GONE)
        writer(BACK)
        writer.start()
        writer.close(20)
    (delivery,) = receiver.deliveries
    sent = json.loads(delivery.body)
    assert sent["title"] == "orcestator"
    assert sent["message"].split("\n") == [GONE.text, BACK.text]
    assert sent["type"] == "warning"
    assert writer.dropped == 0


def test_what_is_solved_is_a_success_and_what_is_not_taken_is_an_error() -> None:
    apprise = pytest.importorskip("apprise")
    with receiving(200, 500) as receiver:
        service = apprise.Apprise()
        assert service.add(f"json://127.0.0.1:{receiver.port}/")
        target = AppriseTarget(service)
        target.write([BACK])
        with pytest.raises(OSError, match="did not take"):
            target.write([GONE._replace(level="error")])
    assert [json.loads(delivery.body)["type"] for delivery in receiver.deliveries] == ["success", "failure"]


def test_each_address_has_its_own_queue() -> None:
    pytest.importorskip("apprise")
    writers = apprise_writers(["json://127.0.0.1:1/", "json://127.0.0.1:2/"])
    assert [writer.name for writer in writers] == ["notify_1", "notify_2"]


def test_an_address_that_is_none_stops_the_start_without_being_shown() -> None:
    pytest.importorskip("apprise")
    with pytest.raises(StartupProblem, match="OR_NOTIFY") as refused:
        apprise_writers(["json://127.0.0.1:1/", "nosuch://a-secret-token@host"])
    assert "address 2" in str(refused.value)
    assert "a-secret-token" not in str(refused.value)


def test_without_the_package_the_start_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(StartupProblem, match=r"pip install 'orcestator\[notices\]'"):
        apprise_writers(["json://127.0.0.1:1/"])

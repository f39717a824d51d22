"""What can be asked for, from a controller's table: foreign rows are left out, and the last good plan stays."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orcestator.bridge.control import ControlClient
from orcestator.bridge.directory import Names, RemoteDirectory, offers_of_worker, offers_of_workers
from orcestator.json_text import Json
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Alias
from tests.upstream.scripted_upstream import Peer, ScriptedUpstream, plain, upstream_client

WIRE = Offer("alpha", 1, frozenset({"chat"}), {"echo": {"context_length": 7}}, "echo", ("ft:",)).to_wire()
OURS = {"worker_name": "http://127.0.0.1:8002", "model_names": ["orcestator"], "offer": {"offers": [WIRE]}}
STOCK = {"worker_name": "http://127.0.0.1:8003", "model_names": ["vicuna"], "offer": None}
NAMES = Names({"both": Alias.in_turn(["alpha/echo", "vicuna"])}, ["alpha/echo"])


def test_an_offer_crosses_the_border_unchanged() -> None:
    (offer,) = offers_of_worker("http://w:1", ["ignored"], {"offers": [json.loads(json.dumps(WIRE))]})
    assert offer.to_wire() == WIRE
    assert (offer.worker, offer.kind) == ("http://w:1", "proxy")


def test_a_worker_without_an_offer_is_a_stock_worker() -> None:
    (offer,) = offers_of_worker("http://w:1", ["vicuna", "llama"], None)
    assert (offer.kind, list(offer.models), offer.default_model) == ("stock", ["vicuna", "llama"], "vicuna")


@pytest.mark.parametrize(
    "offer",
    [
        {},
        {"offers": None},
        {"offers": ["text"]},
        {"offers": [{}]},
        {"offers": [{**WIRE, "order": "first"}]},
        {"offers": [{**WIRE, "models": ["echo"]}]},
        {"offers": [{**WIRE, "endpoints": 3}]},
    ],
)
def test_an_offer_of_another_shape_is_left_out(offer: Json) -> None:
    assert offers_of_worker("http://w:1", ["m"], offer) == []


@pytest.mark.parametrize("names", [None, "vicuna", 3, []])
def test_names_of_another_shape_are_left_out(names: Any) -> None:
    assert offers_of_worker("http://w:1", names, None) == []


def test_rows_of_another_shape_are_left_out() -> None:
    """Above all one without an address, which would mean "in this process"."""
    rows = [OURS, None, "text", {}, {**OURS, "worker_name": ""}, {"worker_name": "http://w:9"}, STOCK]
    assert [offer.worker for offer in offers_of_workers(rows)] == [OURS["worker_name"], STOCK["worker_name"]]


class Controller:
    """A controller over a real socket whose answers a test may change; it counts what it is asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers: Json = answers
        self.asked: list[str] = []

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = (await peer.request()).split()[1].decode()
            self.asked.append(request)
            route = request.partition("?")[0].rpartition("/")[2]
            status, answer = 200, self.answers.get(route)
            if route not in self.answers:
                status, answer = 404, {"detail": "Not Found"}
            elif isinstance(answer, int):
                status, answer = answer, {}
            await peer.send(plain(json.dumps(answer).encode(), status=b"%d x" % status))


def ask(controller: Controller, scenario: Callable[[RemoteDirectory, str], Awaitable[None]]) -> None:
    """Run a scenario with a directory of that controller."""

    async def run() -> None:
        async with asyncio.timeout(20), ScriptedUpstream(controller) as peer, upstream_client() as client:
            address = f"http://127.0.0.1:{peer.port}"
            control = ControlClient(client, None)
            await scenario(RemoteDirectory(control, address, NAMES), address)

    asyncio.run(run())


def workers_of(directory: RemoteDirectory) -> list[str]:
    return [offer.worker for offer in directory.catalog().offers]


def test_the_table_is_taken_over_and_asked_for_again_only_when_it_changed() -> None:
    controller = Controller(workers={"version": 5, "workers": [OURS, STOCK]})

    async def scenario(directory: RemoteDirectory, _: str) -> None:
        assert await directory.refresh()
        assert workers_of(directory) == [OURS["worker_name"], STOCK["worker_name"]]
        names = [
            candidate.deployment.provider
            for tier in directory.catalog().tiers(("both",), "chat")
            for candidate in tier.candidates
        ]
        assert names == ["alpha", "fastchat"]
        controller.answers["workers"] = {"version": 5, "unchanged": True}
        assert await directory.refresh()
        assert controller.asked == ["/orcestator/workers", "/orcestator/workers?version=5"]
        assert len(workers_of(directory)) == 2

    ask(controller, scenario)


@pytest.mark.parametrize(
    "answer",
    [
        500,
        401,
        {},
        {"version": 6},
        {"version": "six", "workers": []},
        {"version": 6, "workers": {"a": 1}},
        {"version": 6, "workers": None},
        [],
        "text",
    ],
)
def test_an_answer_of_another_shape_leaves_the_last_plan(answer: Any) -> None:
    controller = Controller(workers={"version": 5, "workers": [OURS]})

    async def scenario(directory: RemoteDirectory, _: str) -> None:
        await directory.refresh()
        controller.answers["workers"] = answer
        assert not await directory.refresh()
        assert not directory.reaches_controller
        assert workers_of(directory) == [OURS["worker_name"]]
        controller.answers["workers"] = {"version": 7, "workers": [STOCK]}
        assert await directory.refresh()
        assert workers_of(directory) == [STOCK["worker_name"]]

    ask(controller, scenario)


def test_an_empty_table_leaves_the_last_plan() -> None:
    controller = Controller(workers={"version": 5, "workers": [OURS]})

    async def scenario(directory: RemoteDirectory, _: str) -> None:
        await directory.refresh()
        controller.answers["workers"] = {"version": 6, "workers": []}
        assert await directory.refresh()
        assert workers_of(directory) == [OURS["worker_name"]]

    ask(controller, scenario)


def stock_controller(address: str) -> Controller:
    """A stock controller: it knows nothing of our route, and its one worker is itself."""
    return Controller(
        list_models={"models": ["vicuna"]},
        get_worker_address={"address": address},
        worker_get_status={"model_names": ["vicuna"], "speed": 1, "queue_length": 0},
    )


def test_a_stock_controller_is_never_told_to_refresh_its_workers() -> None:
    controller = stock_controller("")

    async def scenario(directory: RemoteDirectory, address: str) -> None:
        controller.answers["get_worker_address"] = {"address": address}
        assert await directory.refresh()
        assert directory.is_stock
        assert workers_of(directory) == [address]
        assert controller.asked == [
            "/orcestator/workers", "/list_models", "/get_worker_address", "/worker_get_status",
        ]  # fmt: skip

    ask(controller, scenario)


@pytest.mark.parametrize("address", ["nonsense", "http://[bad", 7, None, {"a": 1}, "http://127.0.0.1:1"])
def test_what_strangers_register_at_a_stock_controller_does_not_end_us(address: Any) -> None:
    async def scenario(directory: RemoteDirectory, _: str) -> None:
        assert await directory.refresh()
        assert workers_of(directory) == []

    ask(stock_controller(address), scenario)


@pytest.mark.parametrize("models", [None, "vicuna", 500])
def test_a_stock_answer_of_another_shape_leaves_the_last_plan(models: Any) -> None:
    controller = stock_controller("")

    async def scenario(directory: RemoteDirectory, address: str) -> None:
        controller.answers["get_worker_address"] = {"address": address}
        await directory.refresh()
        controller.answers["list_models"] = models if models == 500 else {"models": models}
        assert not await directory.refresh()
        assert workers_of(directory) == [address]

    ask(controller, scenario)


def test_a_controller_of_ours_in_place_of_a_stock_one_is_noticed() -> None:
    controller = stock_controller("")

    async def scenario(directory: RemoteDirectory, address: str) -> None:
        controller.answers["get_worker_address"] = {"address": address}
        await directory.refresh()
        controller.answers["workers"] = {"version": 1, "workers": [OURS]}
        await directory.refresh()
        assert not directory.is_stock
        assert workers_of(directory) == [OURS["worker_name"]]

    ask(controller, scenario)

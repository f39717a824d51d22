"""A trial as a picture."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from orcestator.settings import Settings
from orcestator.simulator.plot import bar_width, plot
from orcestator.simulator.svg import text
from orcestator.simulator.trial import Trial, hold_trial
from tests.simulator.scenarios import condition, deployment, scenario

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def trial() -> Trial:
    away = deployment("a", (200.0, condition(refused=1.0)), (400.0, condition()))
    return hold_trial(scenario(away, deployment("b")), ["priority", "adaptive"], Settings(), 1)


def test_the_picture_is_xml_and_has_a_line_for_each_router_in_each_panel(trial: Trial) -> None:
    root = ElementTree.fromstring(plot(trial))
    assert root.tag == SVG + "svg"
    lines = [found for found in root.iter(SVG + "polyline") if len((found.get("points") or "").split()) > 10]
    assert len(lines) == 2 * 3
    words = [found.text for found in root.iter(SVG + "text")]
    assert {"priority", "adaptive", "omniscient, balanced", "answered", "p95 of first content, s"} <= set(words)


def test_everything_lies_within_the_picture(trial: Trial) -> None:
    root = ElementTree.fromstring(plot(trial))
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for line in root.iter(SVG + "polyline"):
        for point in (line.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    for found in root.iter(SVG + "rect"):
        assert float(found.get("x") or 0) + float(found.get("width") or 0) <= width
        assert float(found.get("y") or 0) + float(found.get("height") or 0) <= height


def test_words_are_escaped() -> None:
    assert "a &lt; b &amp; c" in text(0, 0, "a < b & c")


def test_what_is_better_than_the_omniscient_router_is_no_long_bar() -> None:
    """Bars grow with what is bad."""
    assert bar_width(-0.5, 0.25, 100.0) == bar_width(-0.5, -0.1, 100.0) == 1.0
    assert bar_width(0.25, 0.25, 100.0) == 100.0
    assert bar_width(0.1, 0.2, 100.0) == 50.0


def test_no_line_of_the_grid_runs_through_the_name_of_an_event() -> None:
    names = [f"event {number}" for number in range(4)]
    events = tuple((100.0 * number, 100.0 * number + 50.0, name) for number, name in enumerate(names))
    found = replace(scenario(deployment("a")), spans=events)
    root = ElementTree.fromstring(plot(hold_trial(found, ["priority"], Settings(), 1)))
    grid = {float(each.get("y1") or 0) for each in root.iter(SVG + "line")}
    labels = [float(each.get("y") or 0) for each in root.iter(SVG + "text") if each.text in names]
    assert len(labels) == 2 * len(names)
    assert not [(base, y) for base in labels for y in grid if base - 8.0 < y < base]

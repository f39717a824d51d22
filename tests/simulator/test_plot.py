"""A trial as a picture."""

from xml.etree import ElementTree

import pytest

from orcestator.settings import Settings
from orcestator.simulator.plot import plot
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

"""A few shapes as SVG text. Coordinates are pixels from the upper left corner."""

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]
FONT = "font-family='system-ui, sans-serif'"


def document(width: int, height: int, shapes: Iterable[str]) -> str:
    """The whole picture, on white."""
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' {FONT}>"
    return "\n".join([head, rectangle(0, 0, width, height, "#ffffff"), *shapes, "</svg>", ""])


def rectangle(x: float, y: float, width: float, height: float, fill: str, opacity: float = 1.0) -> str:
    """A filled rectangle."""
    see_through = "" if opacity >= 1.0 else f" fill-opacity='{opacity:g}'"
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{fill}'{see_through}/>"


def line(start: Point, end: Point, colour: str, width: float = 1.0) -> str:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' stroke-width='{width:g}'/>"


def path(points: Sequence[Point], colour: str, width: float = 1.5, *, is_dashed: bool = False) -> str:
    """A line through points."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = " stroke-dasharray='5 3'" if is_dashed else ""
    return f"<polyline points='{through}' fill='none' stroke='{colour}' stroke-width='{width:g}' stroke-linejoin='round'{dashes}/>"


def text(x: float, y: float, words: str, *, size: int = 11, anchor: str = "start", colour: str = "#333333") -> str:
    """One line of text; ``anchor`` is start, middle or end."""
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor={quoteattr(anchor)} fill='{colour}'>{escape(words)}</text>"

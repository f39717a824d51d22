"""How Anthropic, and whoever speaks like it, is called."""

from orcestator.dialects.anthropic.errors import error_detail
from orcestator.dialects.anthropic.thinking_blocks import without_our_thinking
from orcestator.dialects.anthropic.upstream_reply import canonical_reply
from orcestator.dialects.anthropic.upstream_request import PATH, wire_call
from orcestator.dialects.anthropic.upstream_stream import CALLS, MessageReader
from orcestator.dialects.anthropic.upstream_tuning import LEAST_BUDGET
from orcestator.dialects.canonical import UpstreamDialect, always
from orcestator.dialects.fitting import lowered_at
from orcestator.dialects.shapes import object_in
from orcestator.dialects.tool_names import PLAIN_NAMES
from orcestator.json_text import Json


def _count_path(model: str) -> str:
    return f"{PATH}/count_tokens"


def _limited(body: Json, most: int) -> tuple[Json, list[str]]:
    made, names = lowered_at(body, (("max_tokens",),), most)
    if names and most > LEAST_BUDGET:
        # A budget has to be below the limit.
        made, budgets = lowered_at(made, (("thinking", "budget_tokens"),), most - 1)
        names += budgets
    elif names and "budget_tokens" in object_in(made, "thinking"):
        made = {name: value for name, value in made.items() if name != "thinking"}
        names.append("thinking")
    return made, names


UPSTREAM = UpstreamDialect(
    name="anthropic",
    request=wire_call,
    reply=canonical_reply,
    reader=MessageReader,
    error=error_detail,
    relay_path=always(PATH),
    tool_names=PLAIN_NAMES._replace(longest=128),
    limited=_limited,
    calls=CALLS,
    clean=without_our_thinking,
    count_path=_count_path,
    names_events=True,
)

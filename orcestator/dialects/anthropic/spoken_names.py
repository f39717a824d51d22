"""Names of ours for Claude Code, whose ``/model`` list shows only those that begin with ``claude`` or ``anthropic``.

https://code.claude.com/docs/en/llm-gateway-protocol, model discovery (checked 2026-11).
"""

SHOWN_PREFIX = "claude-via-"
_SHOWN_AS_THEY_ARE = ("claude", "anthropic")


def spoken_name(name: str) -> str:
    """The name under which the list shows a model."""
    return name if name.startswith(_SHOWN_AS_THEY_ARE) else SHOWN_PREFIX + name


def meant_name(name: str) -> str:
    """The model that is meant by a name of that list, or by any other."""
    return name.removeprefix(SHOWN_PREFIX)

"""Claude Code: variables in the ``env`` block of ``settings.json``.

https://code.claude.com/docs/en/llm-gateway, …/llm-gateway-protocol and Claude Code 2.1.330 (checked 2026-11): the base URL has
no ``/v1``; without any token it asks for a login; a name that it does not know gets its window from
``CLAUDE_CODE_MAX_CONTEXT_TOKENS``.
"""

from orcestator.connect.machine import Machine
from orcestator.connect.offer import Offered
from orcestator.connect.plan import FileEdit, Plan, puts


def plan(offered: Offered, machine: Machine) -> Plan:
    """The whole configuration. Every name that Claude Code has for a model means ours."""
    model = offered.first
    values = {
        "ANTHROPIC_BASE_URL": offered.base,
        "ANTHROPIC_AUTH_TOKEN": offered.key or "any",
        "ANTHROPIC_MODEL": model.id,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": model.id,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": model.id,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model.id,
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(model.window),
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(model.window),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(model.output_within),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        # A line in the system prompt that is for Anthropic alone, and makes other providers' prompt caches miss.
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }
    path = machine.folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json"
    return Plan(
        (FileEdit((path,), "json", puts(values, "env"), holds_key=bool(offered.key)),),
        steps=(
            "Unset ANTHROPIC_API_KEY, which would be sent beside the token. Start claude; /status shows the address.",
        ),
    )

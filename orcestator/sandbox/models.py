"""The models the sandbox has, as rows, and their cards. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from orcestator.json_text import Json
from orcestator.sandbox.faults import catalogue
from orcestator.sandbox.problem import Refused

CONTEXT_TOKENS = 131_072
CREATED = 1_767_225_600
"""2026-01-01, for a field that clients want and nobody reads."""

CHAT_PARAMETERS = (
    *("max_tokens", "max_completion_tokens", "stop", "n", "logprobs", "top_logprobs", "response_format"),
    *("structured_outputs", "temperature", "top_p", "seed"),
)
TOOL_PARAMETERS = ("tools", "tool_choice", "parallel_tool_calls")


@dataclass(frozen=True, slots=True)
class Model:
    """One model: what it takes, what it gives, and the parameters it obeys or at least accepts."""

    id: str
    inputs: tuple[str, ...] = ("text", "image", "file", "audio")
    outputs: tuple[str, ...] = ("text",)
    parameters: tuple[str, ...] = CHAT_PARAMETERS

    def card(self) -> Json:
        """The card as OpenAI, vLLM (``max_model_len``) and OpenRouter (the rest) show it, checked 2026-11."""
        modality = f"{'+'.join(self.inputs)}->{'+'.join(self.outputs)}"
        sides = {"modality": modality, "input_modalities": self.inputs, "output_modalities": self.outputs}
        return {
            "id": self.id,
            "object": "model",
            "created": CREATED,
            "owned_by": "orcestator-sandbox",
            "context_length": CONTEXT_TOKENS,
            "max_model_len": CONTEXT_TOKENS,
            "supported_parameters": self.parameters,
            "architecture": sides,
        }


MODELS: Mapping[str, Model] = {
    model.id: model
    for model in (
        Model("echo"),
        Model("tools", parameters=(*CHAT_PARAMETERS, *TOOL_PARAMETERS)),
        Model("reasoner", parameters=(*CHAT_PARAMETERS, "reasoning_effort")),
        Model("embed", ("text",), ("embeddings",), ("dimensions", "encoding_format")),
        Model("image", ("text",), ("image",), ("n", "response_format")),
        Model("speech", ("text",), ("audio",), ("response_format",)),
        Model("transcribe", ("audio",), ("text",), ("response_format",)),
        Model("moderate", ("text",), ("text",), ()),
        Model("agent", parameters=(*CHAT_PARAMETERS, *TOOL_PARAMETERS, "reasoning_effort")),
        Model("deepseek", parameters=(*CHAT_PARAMETERS, *TOOL_PARAMETERS, "reasoning_effort")),
        Model("strict", parameters=(*CHAT_PARAMETERS, *TOOL_PARAMETERS)),
        Model("noprefill"),
    )
}


def listed() -> Json:
    """The body of ``GET /v1/models``."""
    return {"object": "list", "data": [model.card() for model in MODELS.values()]}


def card(id: str) -> Json:
    """The card of one model, or of a fault as if it were one. Raises ``Refused`` (404)."""
    base = id.partition("?")[0]
    if base.startswith("fault:") and catalogue.find(*[*base.split(":"), ""][1:3]):
        return Model(id, parameters=MODELS["tools"].parameters).card()
    require(base)
    return MODELS[base].card() | {"id": id}


CHAT_MODELS = ("echo", "tools", "reasoner", "agent", "deepseek", "strict", "noprefill")
"""Those that answer a conversation: what the lists of the other dialects show."""


def require(base: str) -> None:
    """Raises ``Refused`` (404) for a model the sandbox does not have."""
    if base not in MODELS:
        known = f"Known are {', '.join(MODELS)} and fault:<id>:<variant> of {catalogue.known_names()}"
        raise Refused(404, f"The model {base!r} does not exist. {known}", code="model_not_found", param="model")

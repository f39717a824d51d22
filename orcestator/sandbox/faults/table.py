"""Which code gives which fault, and when a fault happens at all. The rows themselves are in ``catalogue``."""

from collections.abc import Mapping

from orcestator.sandbox.call import Call
from orcestator.sandbox.faults.catalogue import Fault
from orcestator.sandbox.faults.faults_chat import CHAT_FAULTS
from orcestator.sandbox.faults.faults_dialects import DIALECT_SPOILS
from orcestator.sandbox.faults.faults_http import HTTP_FAULTS
from orcestator.sandbox.faults.faults_stream import STREAM_FAULTS
from orcestator.sandbox.faults.faults_transport import TRANSPORT_FAULTS, Spoil
from orcestator.sandbox.wire.script import Answer

SPOILS: Mapping[tuple[str, str], Spoil] = {
    **TRANSPORT_FAULTS,
    **HTTP_FAULTS,
    **CHAT_FAULTS,
    **STREAM_FAULTS,
    **DIALECT_SPOILS,
}
GIVEN_ON = {"deepseek": "openai"}
"""Dialects without routes of their own."""


def spoiled(call: Call, answer: Answer) -> Answer:
    """The call's answer with its fault; as it was when the call names none or it does not apply."""
    fault = call.model.fault
    if fault is None or not applies(fault, call):
        return answer
    return SPOILS[fault.id, fault.variant](call, answer)


def applies(fault: Fault, call: Call) -> bool:
    """Whether the fault makes sense for this request."""
    asked = "stream" if call.streams else "plain"
    if asked not in fault.applies:
        return False
    return not fault.chat_only or (call.is_chat and call.dialect == GIVEN_ON.get(fault.dialect, fault.dialect))

"""A request that the sandbox refuses; ``envelope`` gives it the shape of a dialect."""

from collections.abc import Sequence

from orcestator.json_text import Json


class Refused(Exception):
    """The sandbox will not answer this request; ``closes`` when the connection cannot be trusted afterwards.

    ``kind``, ``code``, ``param`` and ``details`` count in the dialects that have a place for them.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str | None = None,
        code: str | None = None,
        param: str | None = None,
        details: Sequence[Json] = (),
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.details = details
        self.closes = closes


def error_body(
    message: str, *, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> Json:
    """An OpenAI error body (https://platform.openai.com/docs/guides/error-codes, checked 2026-11)."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}

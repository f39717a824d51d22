"""A request that the sandbox refuses, as the OpenAI error it becomes."""

from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """The sandbox will not answer this request; ``closes`` when the connection cannot be trusted afterwards."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, closes: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.closes = closes

    def body(self) -> Json:
        """The error body (https://platform.openai.com/docs/guides/error-codes, checked 2026-11)."""
        return error_body(self.message, code=self.code, param=self.param)


def error_body(
    message: str, *, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> Json:
    """An OpenAI error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}

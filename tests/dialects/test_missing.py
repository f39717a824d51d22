"""What a 404 is about: only one that says so takes a model away."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orcestator.dialects.anthropic.errors import error_detail as anthropic
from orcestator.dialects.failures import error_from_reply
from orcestator.dialects.gemini.errors import error_detail as gemini
from orcestator.errors import NO_SUCH_PATH, CannotExpress, UpstreamModelMissing, UpstreamRejected

MODEL = "my-file-1"
"""A name that has a word in it by which other things are called."""


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def not_found(message: str) -> dict[str, Any]:
    return {"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}


def refused(body: Any, read: Callable[[Any], dict[str, Any]] | None = None, status: int = 404) -> Any:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return error_from_reply("p", status, lambda _name: None, raw, 0.0, read, MODEL)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (said("The model `my-file-1` does not exist or you do not have access to it.", code="model_not_found"), None),
        (said("no such thing", code="model_not_found"), None),
        (said("The API deployment for this resource does not exist.", code="DeploymentNotFound"), None),
        (said("nothing there", param="model"), None),
        ({"type": "error", "error": {"type": "not_found_error", "message": "model: my-file-1"}}, anthropic),
        (
            not_found("models/my-file-1 is not found for API version v1beta, or is not supported for generateContent."),
            gemini,
        ),
        ({"error": "model 'my-file-1' not found"}, None),
        ({"error": 'model "my-file-1" not found, try pulling it first'}, None),
        (
            {
                "object": "error",
                "message": "The model `my-file-1` does not exist.",
                "type": "NotFoundError",
                "code": 404,
            },
            None,
        ),
        (said("Model not found, inaccessible, and/or not deployed", code="NOT_FOUND"), None),
        (said("Unable to access model my-file-1. Please visit us."), None),
        (
            {"code": "Some entity was not found", "error": "The model my-file-1 does not exist or is not your team's."},
            None,
        ),
        (said("No endpoints found for my-file-1.", code=404), None),
        (said("my-file-1 is not available", type="invalid_request_error"), None),
        ({"message": "model 'my-file-1' not found, make sure that you have access to the model."}, None),
        (said("The model `my-file-1` has been decommissioned and is no longer supported"), None),
        ("model not found", None),
    ],
)
def test_the_model_is_missing(body: Any, read: Any) -> None:
    error = refused(body, read)
    assert (type(error), error.cause) == (UpstreamModelMissing, "http_404")


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (said("Item with id 'rs_gone' not found. Remove this item from your input.", param="input"), None),
        (said("Item with id 'rs_gone' not found. Remove this item from your input."), None),
        (said("mock 404", code="some_code"), None),
        ({"message": "mock 404", "code": "some_code"}, None),
        (said("Previous response with id 'resp_1' not found.", code="previous_response_not_found"), None),
        (said("Previous response with id 'resp_1' not found for model 'my-file-1'."), None),
        (said("No such File object: file-abc", param="id"), None),
        (said("File file-abc not found", type="invalid_request_error"), None),
        ({"type": "error", "error": {"type": "not_found_error", "message": "File not found: file_011"}}, anthropic),
        (not_found("Requested entity was not found."), gemini),
        (not_found("CachedContent not found (or permission denied)"), gemini),
        (said("Unable to download file https://x.test/y from url: 404 not found"), None),
        (said("The file f-1 that model my-file-1 was given was not found"), None),
    ],
)
def test_something_that_the_request_named_is_missing(body: Any, read: Any) -> None:
    error = refused(body, read)
    assert (type(error), error.cause, error.http_status) == (UpstreamRejected, "http_404", 404)


@pytest.mark.parametrize(
    "body",
    [
        said("The model 'gpt-image-9' does not exist", code="model_not_found"),
        said("Voice 'zorg' not found for model my-file-1"),
        said("Web search is not available for the model my-file-1"),
        said("Adapter for model my-file-1 not found"),
        said("This model is only supported in v1/responses and not in v1/chat/completions.", param="model"),
        {"error": {"message": "模型不存在", "code": "1211"}},
        said("Das Modell my-file-1 existiert nicht"),
        said("Модель my-file-1 не найдена"),
    ],
)
def test_the_model_may_be_missing(body: Any) -> None:
    """Another one, one of a tool's, or this one for what was asked: the next provider is asked, and nothing is held against this one."""
    error = refused(body)
    assert (type(error), error.http_status, error.code) == (CannotExpress, 404, "model_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "model"], "msg": "model not found"}]},
        {"errors": [{"code": 7003, "message": "No such model my-file-1"}]},
        said("model_not_found"),
        said("This model isn't available to you"),
        said("The requested model is not served by any instance", type="NotFoundError"),
    ],
)
def test_it_is_missing_however_it_is_said(body: Any) -> None:
    assert type(refused(body)) is UpstreamModelMissing


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, said("Model Not Exist", type="invalid_request_error", code="invalid_request_error")),
        (400, said("my-file-1 is not a valid model ID", code=400)),
        (400, said("The model `my-file-1` has been decommissioned", code="model_decommissioned")),
        (400, {"object": "error", "message": "Invalid model: my-file-1", "type": "invalid_model", "code": "1500"}),
        (400, {"code": "Client specified an invalid argument", "error": "Model not found: my-file-1"}),
        (422, {"detail": "Model my-file-1 not found"}),
    ],
)
def test_other_statuses_that_say_so_lead_to_the_next_provider(status: int, body: Any) -> None:
    error = refused(body, status=status)
    assert (type(error), error.http_status, error.code) == (CannotExpress, 404, "model_not_found")


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
        "Item 'rs_1' not found for model my-file-1",
        "temperature: unknown value for model my-file-1",
        "The file f used with model my-file-1 was not found",
        "Invalid value for 'messages'",
    ],
)
def test_a_bad_request_that_mentions_a_model_is_its_callers(message: str) -> None:
    assert type(refused(said(message), status=400)) is UpstreamRejected


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ("404 page not found", None),
        (
            "<html><title>404 Not Found</title><body>No such file. The model of this page is unknown.</body></html>"
            + " " * 300,
            None,
        ),
        ("", None),
        ({"detail": "Not Found"}, None),
        ({"error": "Not Found"}, None),
        ({"status": 404, "error": "Not Found", "path": "/v1/x"}, None),
        (said("Invalid URL (POST /v1/chat/completion)", type="invalid_request_error"), None),
        (said("Unknown request URL: POST /v1/x. Please check the URL for typos.", code="unknown_url"), None),
        (said("Resource not found", code="404"), None),
        (said("File Not Found", type="not_found_error", code=404), None),
        ({"error": "Unexpected endpoint or method. (POST /x)"}, None),
        ({"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}, anthropic),
        ("Cannot POST /v1/chat/completions", None),
    ],
)
def test_the_path_is_missing(body: Any, read: Any) -> None:
    error = refused(body, read)
    assert (type(error), error.cause) == (UpstreamModelMissing, NO_SUCH_PATH)
    assert "base_url" in error.message

"""The error tree: every failure this product can describe, as one class each.

Facts live in the exception; judgement lives in ``routing/verdict.py``; HTTP lives in ``web/``.

    OrcestatorError                      status, type and code: the OpenAI error body it becomes
    ├── StartupProblem                   the program cannot start: one clear sentence
    ├── ClientError                      the caller must change something; never retried, never trips a breaker
    │   ├── InvalidRequest 400           ├── Unauthorized 401     ├── Forbidden 403
    │   ├── ModelNotFound 404            ├── RouteNotFound 404    ├── MethodNotAllowed 405
    │   ├── RequestTooSlow 408           ├── Conflict 409         ├── BodyTooLarge 413
    │   ├── UnsupportedBody 415
    │   └── QuotaExceeded 429
    ├── Overloaded 503                   we shed this request; it may come back later
    │   └── ShuttingDown 503
    ├── QuotaUsedUp 429                  our own quota ledger lets nobody ask this candidate: no attempt
    ├── UpstreamError                    one attempt failed; carries what the upstream said
    │   ├── UpstreamRejected             the upstream will never take this request (400, 413, 422 …)
    │   │   ├── UpstreamContextExceeded  too long for this model; one with a larger context may take it
    │   │   └── UpstreamContentRefused   refused for what it says, by a filter or a policy
    │   ├── CannotExpress                this upstream's dialect has no words for what was asked
    │   ├── UpstreamRateLimited          429, or a documented "slow down"
    │   ├── UpstreamKeyRefused           401, 402, 403: the credential, never the caller's fault
    │   ├── UpstreamModelMissing         404 for this model at this provider
    │   ├── UpstreamUnavailable          refused, reset, DNS, TLS, 5xx, 529
    │   ├── WorkerLost                   the worker of ours in between is gone; the upstream may be well
    │   ├── UpstreamTimeout              connect, first byte, or between two events; 408, 504
    │   └── UpstreamBroken               an answer that cannot be trusted: not JSON, an error in a 200, a cut stream
    ├── StreamInterrupted                after the first content: the caller is told inside the stream
    └── AttemptsExhausted                every candidate failed; holds the failures
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from orcestator.json_text import Json

SPENT = "spent"
"""The cause of a refusal for want of money: waiting does not help, another credential may."""
NO_SUCH_PATH = "no_such_path"
"""The cause of a 404 that names no model: an address is wrong, or a proxy in between answered."""
NO_SUCH_MODEL = "model_not_found"
"""The cause of a refusal that may mean that there is no such model: the next candidate is asked, and nothing is held against this one."""
QUOTA = "quota"
"""The cause of a refusal by our own quota ledger, which knows: nobody is asked."""
QUOTA_GUESSED = "quota_guessed"
"""The cause of the same where the ledger only guesses: a request that has no other choice may try."""
QUOTA_SIZE = "quota_size"
"""The cause of a refusal, the ledger's or an upstream's, for this request's number of tokens: a smaller one would be taken."""
CONGESTED = "congested"
"""The cause of a rate limit inside an answer that is not ours: an aggregator's own upstream is busy."""
TOTAL_TIMEOUT = "total_timeout"
"""The cause of a time-out by the request's own deadline, in place of the upstream's."""


class OrcestatorError(Exception):
    """The root. ``message`` is for people: it names the field or setting and the remedy."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.headers = dict(headers or {})

    @property
    def http_status(self) -> int:
        """The HTTP status a caller sees."""
        return self.status

    def kept(self) -> Self:
        """The error itself, fit to be kept longer than the handling of it: without where it came from.

        A traceback holds every variable on its way, bodies of replies among them, and where one of these holds the error,
        nothing of it is freed before the garbage collector comes.
        """
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self

    def body(self) -> Json:
        """The OpenAI error body (https://platform.openai.com/docs/guides/error-codes, checked 2026-11)."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class StartupProblem(OrcestatorError):
    """The program cannot start as it was asked to; ``message`` is the one sentence to print."""


class ClientError(OrcestatorError):
    """The caller must change something."""

    status = 400
    type = "invalid_request_error"


class InvalidRequest(ClientError):
    """The request cannot be understood or breaks a limit."""


class Unauthorized(ClientError):
    """No caller key, or one we did not issue."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class Forbidden(ClientError):
    """Understood, and not allowed from here."""

    status = 403
    type = "permission_error"
    default_code = "forbidden"


class ModelNotFound(ClientError):
    """No provider that is switched on has this model."""

    status = 404
    default_code = "model_not_found"


class RouteNotFound(ClientError):
    """No such path."""

    status = 404
    default_code = "not_found"


class MethodNotAllowed(ClientError):
    """The path exists, the method does not."""

    status = 405
    default_code = "method_not_allowed"


class RequestTooSlow(ClientError):
    """Headers or body did not arrive in time."""

    status = 408
    default_code = "request_timeout"


class Conflict(ClientError):
    """It cannot be done as things are: what would be made is there already, or this process has no part in it."""

    status = 409
    default_code = "conflict"


class BodyTooLarge(ClientError):
    """The body is over the limit."""

    status = 413
    default_code = "body_too_large"


class UnsupportedBody(ClientError):
    """A content type or encoding that this route does not read."""

    status = 415
    default_code = "unsupported_media_type"


class QuotaExceeded(ClientError):
    """A limit we set for this caller."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class Overloaded(OrcestatorError):
    """We shed this request."""

    status = 503
    type = "overloaded_error"
    default_code = "overloaded"


class NothingLeft(OrcestatorError):
    """Every candidate is known to be unable to take this request now, and none was called.

    ``retry_after`` is when the first of them will be, in seconds; None when waiting does not help.
    """

    status = 429
    type = "rate_limit_error"
    default_code = "nothing_left"

    def __init__(self, message: str, *, retry_after: float | None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class QuotaUsedUp(OrcestatorError):
    """Our own quota ledger says that an upstream would refuse this request now. Nobody was asked, so that it is no attempt.

    ``cause`` is ``QUOTA``, ``QUOTA_GUESSED`` or ``QUOTA_SIZE``; ``retry_after`` is when the upstream would take it, in seconds.
    """

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"

    def __init__(self, cause: str, retry_after: float) -> None:
        super().__init__(_QUOTA_TEXTS.get(cause, _QUOTA_TEXTS[QUOTA]))
        self.cause = cause
        self.retry_after = retry_after


_QUOTA_TEXTS = {
    QUOTA: "What it may do for now is used up.",
    QUOTA_GUESSED: "It was refused for its rate lately.",
    QUOTA_SIZE: "What it may do for now is too little for a request of this size.",
}


class ShuttingDown(Overloaded):
    """The server is going away."""

    default_code = "shutting_down"


class UpstreamError(OrcestatorError):
    """One attempt at one candidate failed.

    ``cause`` is a short low-cardinality word (``refused``, ``reset``, ``dns``, ``tls``, ``connect_timeout``,
    ``http_500`` …); ``retry_after`` is in seconds; ``sent`` tells whether the request had left us, so that the
    upstream may have billed it; ``upstream_words`` are the code and type by which the upstream names the error.
    """

    status = 502
    type = "upstream_error"
    default_code = "upstream_error"
    untimed: Json | None = None
    """An error object of an answer, until somebody with a clock has read the moments that it may name."""

    def __init__(
        self,
        message: str,
        *,
        cause: str,
        upstream_status: int | None = None,
        upstream_code: str | None = None,
        retry_after: float | None = None,
        sent: bool = True,
        param: str | None = None,
        upstream_words: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, param=param, code=upstream_code)
        self.cause = cause
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code
        self.retry_after = retry_after
        self.sent = sent
        self.upstream_words = upstream_words

    def anew(self) -> Self:
        """The same failure to be raised, where this one is kept: a kept one that is raised would hold what holds it."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class UpstreamRejected(UpstreamError):
    """The upstream understood and refused the request itself; the reason is passed on."""

    status = 400
    type = "invalid_request_error"

    @property
    def http_status(self) -> int:
        """404 and 413 stay what they are; everything else is 400: VS Code reads 422 as a content filter (checked 2026-11)."""
        return self.upstream_status if self.upstream_status in (404, 413) else 400


class UpstreamContextExceeded(UpstreamRejected):
    """The prompt, or prompt and answer together, do not fit into this model's context."""

    default_code = "context_length_exceeded"


class UpstreamContentRefused(UpstreamRejected):
    """A content filter or a usage policy of this upstream refused the request for what it says."""

    default_code = "content_policy_violation"


class CannotExpress(UpstreamError):
    """What the caller asks for has no form in this upstream's dialect; another candidate may have one."""

    status = 400
    type = "invalid_request_error"
    default_code = "unsupported_parameter"

    def __init__(self, message: str, param: str | None = None, **facts: Any) -> None:
        super().__init__(message, param=param, **{"cause": "cannot_express", "sent": False, **facts})

    @property
    def http_status(self) -> int:
        """404 for what may be no model of this upstream's."""
        return 404 if self.cause == NO_SUCH_MODEL else self.status


class UpstreamRateLimited(UpstreamError):
    """The upstream asks for a pause."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class UpstreamKeyRefused(UpstreamError):
    """Our credential at this provider does not work, which is no fault of the caller's key: 424, which these do not try again:
    openai and anthropic (408, 409, 429, 5xx; ``_should_retry`` of their clients), google-genai (408, 429, 500, 502 to 504;
    ``_RETRY_HTTP_STATUS_CODES``), Vercel's AI SDK (408, 409, 429, 5xx; ``APICallError.isRetryable``) and qwen-code (429, 5xx;
    ``retry.ts``). LangChain.js does: see ``gateway/error_reply.py``. Looked up 2026-11 in their sources; the anthropic SDK was run, and of
    google-genai others' quotations were read."""

    status = 424
    default_code = "upstream_key_refused"
    shown_status: int = 0
    """Another status that a person wants callers to see, 0 for none."""

    @property
    def http_status(self) -> int:
        """The status a caller sees."""
        return self.shown_status or self.status


class UpstreamModelMissing(UpstreamError):
    """The provider does not have this model."""

    status = 404
    type = "invalid_request_error"
    default_code = "model_not_found"


class UpstreamUnavailable(UpstreamError):
    """Refused, reset, unresolvable, untrusted TLS, or a 5xx."""

    status = 503
    default_code = "upstream_unavailable"


class WorkerLost(UpstreamError):
    """Our own worker refused the connection or cut its answer: it died, and says nothing about the upstream's health.

    ``retry_after`` is about the time that its supervisor needs to bring it back.
    """

    status = 503
    default_code = "worker_lost"


class UpstreamTimeout(UpstreamError):
    """Nothing came in time."""

    status = 504
    type = "timeout_error"
    default_code = "upstream_timeout"


class UpstreamBroken(UpstreamError):
    """Something came that cannot be passed on."""

    default_code = "upstream_broken"


class StreamInterrupted(OrcestatorError):
    """The stream broke after its first content; ``failure`` is what happened upstream."""

    status = 502
    type = "upstream_error"
    default_code = "stream_interrupted"

    def __init__(self, failure: OrcestatorError) -> None:
        super().__init__(failure.message, code=failure.code)
        self.failure = failure


class AttemptsExhausted(OrcestatorError):
    """Every candidate failed; the caller sees the status and reason of the most useful failure.

    ``retry_after`` is when the first of them may do better, in seconds; None when that is not known or waiting does not help.
    """

    type = "upstream_error"
    default_code = "attempts_exhausted"

    def __init__(
        self,
        failures: Sequence[UpstreamError],
        most_useful: UpstreamError,
        summary: str,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(summary, param=most_useful.param, code=most_useful.code)
        self.failures = tuple(failures)
        self.most_useful = most_useful
        self.retry_after = most_useful.retry_after if retry_after is None else retry_after

    @property
    def http_status(self) -> int:
        """The most useful failure's status."""
        return self.most_useful.http_status

    def body(self) -> Json:
        """The error body, with the type of the most useful failure."""
        return {
            "error": {
                "message": self.message,
                "type": self.most_useful.type,
                "param": self.param,
                "code": self.code,
            }
        }


def wait_of(error: OrcestatorError) -> float | None:
    """When trying again may help, in seconds, as far as the error itself tells; None where nobody knows."""
    if isinstance(error, StreamInterrupted):
        error = error.failure
    return error.retry_after if isinstance(error, UpstreamError | NothingLeft | AttemptsExhausted) else None

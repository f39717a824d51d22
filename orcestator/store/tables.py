"""The ledger's tables: a column for every field of an event, under the event's own name.

Importing this takes most of a second (SQLModel brings pydantic and SQLAlchemy), so only the ledger's writer does.
Must never hold logic; a change of a column needs a new ``ledger_file.VERSION``.
"""

from sqlmodel import Field, SQLModel


class RequestRow(SQLModel, table=True):
    """One request: the columns are those of ``events.RequestEnded``."""

    __tablename__ = "request_row"

    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(index=True)
    started_at: float = Field(index=True)
    route: str
    streamed: bool
    outcome: str
    status: int
    error: str
    message: str
    caller: str
    requested_model: str
    provider: str
    model: str
    user_text: str
    assistant_text: str
    prompt_tokens: int
    completion_tokens: int
    tokens_estimated: bool
    latency_s: float
    first_content_s: float
    attempts: int
    fallbacks: int
    parse_s: float
    plan_s: float
    relay_s: float


class AttemptRow(SQLModel, table=True):
    """One attempt that failed (a request's own row tells of the one that served it): the columns are those of ``events.AttemptEnded``."""

    __tablename__ = "attempt_row"

    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(index=True)
    number: int
    provider: str
    model: str
    error: str
    cause: str
    upstream_status: int
    verdict: str
    latency_s: float
    maybe_billed: bool


class SchemaVersion(SQLModel, table=True):
    """One row: the version of the schema the file was made with."""

    __tablename__ = "schema_version"

    version: int = Field(primary_key=True)

"""The tables: of the ledger, with a column for every field of an event under the event's own name; of kept responses.

Importing this takes most of a second (SQLModel brings pydantic and SQLAlchemy), so only the writers' threads do. All
tables are here because two threads may come for them at once: once this is imported, nothing is added any more.
Must never hold logic; a change of a column needs a new ``schema.VERSION``.
"""

from sqlmodel import Field, Index, SQLModel


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


class KeptConversation(SQLModel, table=True):
    """One conversation of the Responses API: what is counted and forgotten as a whole. ``expires`` is Unix time,
    24 hours after the last turn; ``responses`` and ``size`` (bytes) are the sums over its turns."""

    __tablename__ = "kept_conversation"

    id: int | None = Field(default=None, primary_key=True)
    expires: float = Field(index=True)
    responses: int
    size: int


class KeptResponse(SQLModel, table=True):
    """One turn of a kept conversation, with the items that were new in it; ``previous`` is the row of the turn before
    it, 0 for the first. Of a removed one only what later turns need is left, at last nothing."""

    __tablename__ = "kept_response"
    __table_args__ = (Index("ix_kept_response_name", "owner", "response_id"),)

    id: int | None = Field(default=None, primary_key=True)
    conversation: int = Field(index=True)
    previous: int
    owner: str
    response_id: str
    created: float
    removed: bool
    size: int
    own: str
    response: str


class KeptItem(SQLModel, table=True):
    """Where the output item of an id is: the row of its response."""

    __tablename__ = "kept_item"
    __table_args__ = (Index("ix_kept_item_name", "owner", "item_id"),)

    id: int | None = Field(default=None, primary_key=True)
    kept: int = Field(index=True)
    owner: str
    item_id: str


class SchemaVersion(SQLModel, table=True):
    """One row: the version of the schema the file was made with."""

    __tablename__ = "schema_version"

    version: int = Field(primary_key=True)

"""``/models`` and ``/models/{name}/status``: what is on offer and how it is, for every caller that may come in."""

from collections.abc import Sequence
from dataclasses import dataclass

from orcestator.server.route_table import Asked, Endpoint, Reply
from orcestator.web.admin.overview import Overview
from orcestator.web.catalog_routes import gemini_models
from orcestator.web.models import model_list

BASES = ("", "/api/v1")


@dataclass(frozen=True, slots=True)
class StatusRoutes:
    """The list serves two kinds of callers at once: SDKs whose base URL lacks ``/v1`` read ``data``, the free LLM router's
    and the orchestrator's read ``models``."""

    overview: Overview

    def endpoints(self) -> Sequence[Endpoint]:
        """The rows of the table."""
        rows = (
            Endpoint("GET", "/models", self._models),
            Endpoint("GET", "/models/{}/status", self._status),
        )
        return [row._replace(path=base + row.path) for base in BASES for row in rows]

    async def _models(self, asked: Asked) -> Reply:
        catalog = self.overview.planner.catalog()
        if b"x-goog-api-key" in asked.headers:
            return Reply(gemini_models(catalog))
        return Reply({**model_list(catalog), "models": self.overview.named_models()})

    async def _status(self, asked: Asked) -> Reply:
        return Reply(self.overview.model_status(asked.name))

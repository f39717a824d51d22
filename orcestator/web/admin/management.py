"""Everything that people and programs manage a running API server by, put together as one group of routes."""

import logging

from orcestator.server.route_table import Change, RouteTable
from orcestator.web.admin.access import ManagementAccess
from orcestator.web.admin.admin_routes import AdminRoutes
from orcestator.web.admin.orchestrator_routes import OrchestratorRoutes

audit = logging.getLogger("orcestator.audit")


def management_routes(access: ManagementAccess, orchestrator: OrchestratorRoutes, admin: AdminRoutes) -> RouteTable:
    """The group, to be handed to the application. Whoever ``access`` does not admit learns only that."""
    return RouteTable([*orchestrator.endpoints(), *admin.endpoints()], access.admit, _note)


def _note(change: Change) -> None:
    """Who did what: a line for every change, whatever the log's level is for others."""
    audit.warning(
        "%s %s by %s from %s: %d%s",
        change.method,
        change.path[:200],
        change.who,
        change.peer or "a Unix socket",
        change.status,
        f" ({change.detail})" if change.detail else "",
    )

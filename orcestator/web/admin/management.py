"""Everything that people and programs manage a running API server by, put together as one group of routes."""

import logging

from orcestator.server.route_table import Change, Door, Group
from orcestator.web.admin.access import ManagementAccess
from orcestator.web.admin.admin_routes import AdminRoutes
from orcestator.web.admin.orchestrator_routes import OrchestratorRoutes

ADMIN = "admin"
"""The name of the door."""
audit = logging.getLogger("orcestator.audit")


def management_routes(access: ManagementAccess, orchestrator: OrchestratorRoutes, admin: AdminRoutes) -> Group:
    """The rows, to be handed to the application. Whoever ``access`` does not admit learns only that."""
    return Group(Door(ADMIN, access.admit, _note), [*orchestrator.endpoints(), *admin.endpoints()])


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

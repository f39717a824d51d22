"""Everything that people and programs manage a running API server by, put together as one group of routes."""

from orcestator.web.admin_routes import AdminRoutes
from orcestator.web.management_access import ManagementAccess
from orcestator.web.orchestrator_routes import OrchestratorRoutes
from orcestator.web.route_table import RouteTable


def management_routes(access: ManagementAccess, orchestrator: OrchestratorRoutes, admin: AdminRoutes) -> RouteTable:
    """The group, to be handed to the application. Whoever ``access`` does not admit learns only that."""
    return RouteTable([*orchestrator.endpoints(), *admin.endpoints()], access.admit)

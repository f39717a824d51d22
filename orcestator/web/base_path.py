"""The API server's application under a path of its own as well, for a reverse proxy that hands whole paths on."""

from orcestator.web.app import ApiApp
from orcestator.web.asgi import Receive, Scope, Send


class UnderBasePath:
    """``base_path`` begins with a slash and ends in none. A path that the application serves as it is stays as it is: with
    ``/api`` the routes under ``/api/v1`` are those they always were."""

    def __init__(self, app: ApiApp, base_path: str) -> None:
        self._app = app
        self._base_path = base_path
        self._prefix = f"{base_path}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        if path == self._base_path:
            path += "/"
        if path.startswith(self._prefix) and not self._app.serves(path):
            # In place: the edge reads from this very scope what the application puts into it.
            scope["path"] = path[len(self._base_path) :]
        await self._app(scope, receive, send)

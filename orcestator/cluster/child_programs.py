"""The programs of a supervised cluster: how each is called, and which variables it gets."""

from collections.abc import Callable, Mapping

from orcestator.cluster.child import Child
from orcestator.cluster.pipe_rpc import Answer
from orcestator.cluster.ports import CallersPort, LoopbackPorts, controller_address
from orcestator.providers.rows import SANDBOX
from orcestator.providers.secret import Secret
from orcestator.settings import Settings, child_environment
from orcestator.settings.choices import ProviderSetting

CONTROLLER, WORKER, API_SERVER = "orcestator.controller", "orcestator.proxy_worker", "orcestator.api_server"
FIRST_WORKER_PORT = 8002


class ChildPrograms:
    """Makes the children by ``settings``. ``replicas``: that many API servers call the providers themselves, in place of workers;
    0: none does. ``secret`` is the cluster's own; ``config`` the file that all of them read; ``asked`` answers what they ask."""

    def __init__(
        self, settings: Callable[[], Settings], replicas: int, secret: Secret, config: str | None, asked: Answer
    ) -> None:
        self._settings = settings
        self._replicas = replicas
        self._secret = secret
        self._asked = asked
        # The children get the variables of the file in their environment, each without the others' keys.
        self._config = ["--supervised", "--env-file", "", *(["--config", config] if config else [])]

    def controller(self, spoken: Mapping[str, str]) -> Child:
        """The controller. ``spoken`` are the variables of now, here and below."""
        settings = self._settings()
        arguments = [CONTROLLER, "--port", str(settings.controller_port), *self._config]
        child = Child("controller", arguments, {}, self._asked, controller_address(settings))
        return self._equipped(child, spoken)

    def worker(self, provider: ProviderSetting, ports: LoopbackPorts, spoken: Mapping[str, str]) -> Child:
        """The worker of one provider."""
        name, port = provider.row.name, ports.take(FIRST_WORKER_PORT)
        arguments = [
            WORKER, "--provider", name, "--controller", controller_address(self._settings()), "--port", str(port),
            *self._config,
        ]  # fmt: skip
        child = Child(f"worker {name}", arguments, {}, self._asked, f"http://127.0.0.1:{port}", keys_of=name)
        return self._equipped(child, spoken)

    def api_server(self, number: int, port: CallersPort, spoken: Mapping[str, str]) -> Child:
        """One of the API servers, counted from 1."""
        arguments = [API_SERVER, *port.arguments(), "--controller", controller_address(self._settings())]
        if self._replicas:
            arguments += ["--replica", f"{number}/{self._replicas}"]
        child = Child(f"api server {number}", [*arguments, *self._config], {}, self._asked, pass_fds=port.pass_fds())
        return self._equipped(child, spoken)

    def environment_of(self, child: Child, spoken: Mapping[str, str]) -> dict[str, str]:
        """The variables of a child, by the settings of now."""
        program = child.arguments[0]
        if program == API_SERVER:
            return self.api_environment(self._settings(), spoken)
        return child_environment(self._settings(), spoken, self._common(), keys_of=child.keys_of, serves_callers=False)

    def api_environment(self, settings: Settings, spoken: Mapping[str, str]) -> dict[str, str]:
        """The variables of an API server by other settings: with the providers' keys in them only if it calls them."""
        if self._replicas:
            return {**spoken, **self._common()}
        return child_environment(settings, spoken, self._common(), keys_of=None)

    def _equipped(self, child: Child, spoken: Mapping[str, str]) -> Child:
        child.environment = self.environment_of(child, spoken)
        return child

    def _common(self) -> dict[str, str]:
        """What every child is told. By now the address of a sandbox that we started is in the settings, as any other's."""
        common = {"OR_WORKER_SECRET": self._secret.reveal()}
        for provider in self._settings().providers:
            if provider.row.name == SANDBOX:
                common[provider.row.base_url_env] = provider.base_url
        return common

"""Where a command finds the server that these settings would start."""

from collections.abc import Mapping

from orcestator.errors import StartupProblem
from orcestator.settings.environment import read_variables
from orcestator.settings.loading import load
from orcestator.settings.table import Settings

LOOPBACK = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}
_NEEDED = ("OR_HOST", "OR_PORT", "OR_ADMIN_TOKEN", "ADMIN_TOKEN", "OR_API_BASE_PATH", "OR_STATE_DIR")


def settings_for_asking(config: str | None = None, env_file: str | None = ".env") -> Settings:
    """Only for the address and the token. What is wrong with the configuration is the server's to say: it reads its own."""
    try:
        return load(config_path=config, dotenv_path=env_file, with_providers=False)
    except StartupProblem:
        return load(dotenv_path=None, environ=_spoken(env_file), with_providers=False)


def own_address(settings: Settings) -> str:
    """Where the server of these settings is reached from this machine."""
    host = settings.host
    shown = LOOPBACK.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{settings.port}"


def client_address(settings: Settings) -> str:
    """The same as a client's file has it: by its name where the name is enough, and with the path before the API."""
    host = "localhost" if settings.host in (*LOOPBACK, "127.0.0.1", "::1") else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}{settings.api_base_path}"


def _spoken(dotenv_path: str | None) -> Mapping[str, str]:
    """The variables for the address and the token, which may be right although other things are wrong."""
    variables = read_variables(None, dotenv_path)
    return {name: found.text for name in _NEEDED if (found := variables.get(name))}

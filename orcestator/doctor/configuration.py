"""The settings, the keys and who may call."""

from collections.abc import Iterator

from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding
from orcestator.providers.rows import ROWS
from orcestator.settings import Settings
from orcestator.settings.environment import Variables

HERE = ("127.0.0.1", "::1", "localhost")


def unloadable(message: str) -> Finding:
    """The settings cannot be understood, so that the program would not start."""
    return Finding("settings", PROBLEM, message, "Correct it; docs/configuration.md has every setting.")


def settings_findings(settings: Settings, variables: Variables) -> Iterator[Finding]:
    """What was read from where, what is not acted on, which keys there are, and who may call."""
    yield Finding("settings", OK, f"read from {_sources(settings, variables)}")
    for notice in settings.notices:
        yield Finding("settings", WARNING, notice)
    if settings.not_yet:
        yield Finding("settings", WARNING, f"accepted, not acted on yet: {', '.join(settings.not_yet)}")
    yield _keys(settings, variables)
    yield _callers(settings)


def _sources(settings: Settings, variables: Variables) -> str:
    named = {variable.place.source for variable in variables if variable.is_from_file}
    return ", ".join([*([settings.config] if settings.config else []), *sorted(named), "the environment"])


def _keys(settings: Settings, variables: Variables) -> Finding:
    names = [name for row in ROWS for name in (row.key_env, row.also_key_env) if name]
    found = [variable for name in names if (variable := variables.get(name)) is not None]
    said = [f"{variable.name} ({variable.place.source})" for variable in found]
    held = {row.name for row in ROWS for variable in found if variable.name in (row.key_env, row.also_key_env)}
    said += [
        f"{provider.row.name} (configuration)"
        for provider in settings.providers
        if provider.keys and provider.row.name not in held
    ]
    if said:
        return Finding("keys", OK, ", ".join(said))
    if any(provider.row.is_local for provider in settings.providers):
        return Finding("keys", OK, "none; the providers that are on need none")
    return Finding(
        "keys",
        WARNING,
        "no provider has a key: the built-in sandbox answers, and it is not a language model",
        "Put a key such as OPENROUTER_API_KEY=… into .env and start again.",
    )


def _callers(settings: Settings) -> Finding:
    if settings.caller_keys:
        count = len(settings.caller_keys)
        return Finding("callers", OK, f"holders of {count} caller key{'s' if count > 1 else ''}")
    if settings.allow_anonymous and settings.host not in HERE:
        return Finding(
            "callers",
            WARNING,
            f"everybody who can reach {settings.host}:{settings.port} may call, at your providers' expense",
            "Set OR_CALLER_KEYS, or take OR_ALLOW_ANONYMOUS out.",
        )
    return Finding("callers", OK, "this machine only; OR_CALLER_KEYS lets others in")

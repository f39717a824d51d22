"""What is written about the settings, made from their table: ``.env.example``, a page, and tables for another one.

``write(folder)`` brings the files of a checkout up to date; a test compares them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from orcestator.providers.rows import ROWS, SANDBOX, Provider
from orcestator.providers.secret import Secret
from orcestator.settings.choices import FURTHER_KEYS
from orcestator.settings.sources import TABLE
from orcestator.settings.spec import Setting
from orcestator.settings.table import GROUPS
from orcestator.settings.values import BasePath, Network, Origin

ENV_EXAMPLE = ".env.example"
GUIDE = "docs/configuration.md"
PROVIDERS = "docs/providers.md"
_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Secret: "secret",
    BasePath: "path",
    tuple[str, ...]: "list",
    tuple[Origin, ...]: "list of origins",
    tuple[Secret, ...]: "list of secrets",
    tuple[Network, ...]: "list of networks",
}
_HEAD = """\
# Copy this file to .env and set what you need. Every line is optional: without any key the built-in sandbox answers.
# What is commented out shows the default. The real environment comes before this file.
"""

_PROVIDERS_HEAD = """\
# Providers

This page is made from `orcestator/providers/rows.py`. A provider is on as soon as its key is in the environment or in
`.env`; nothing else has to be configured. Several may be on at once: they are tried in the order of this table. A
provider that is not here needs [an address](adding-a-provider.md#without-code).

- **Speaks** says in which dialects a provider takes chats, the preferred one first. A caller's request in one of them
  goes through as it came; any other is translated. `dialect` in the [configuration](configuration.md#providers)
  chooses another.
- **Only when named** means that the key alone is not enough, because it is set on many machines for other reasons or
  is another row's, too: name the provider under `providers:`, in `OR_PROVIDER_ORDER` or in `OR_ONLY_PROVIDERS`.
- **Without paying** is what the provider's pages promised in the month in which they were read. Such offers change.

Context lengths, abilities and prices of models come from [a package](decisions/0016-facts-and-prices.md) until the
provider's own list says more. What you write under `models:` comes before both.

"""


def env_example() -> str:
    """The content of ``.env.example``."""
    parts = [_HEAD, *_key_lines()]
    for group in GROUPS:
        parts.append(f"\n# {group}\n")
        parts += [_example(row) for row in TABLE if row.spec.group == group]
    return "".join(parts)


def settings_table(group: str) -> str:
    """The settings of a group as a Markdown table."""
    head = "| Variable | In YAML | Default | What it is |\n|---|---|---|---|\n"
    return head + "".join(_table_line(row) for row in TABLE if row.spec.group == group)


def providers_table() -> str:
    """The known providers as a Markdown table."""
    head = "| Name | Provider | Switched on by | Address | Default model | Endpoints | Source |\n|---|---|---|---|---|---|---|\n"
    return head + "".join(map(_provider_line, ROWS))


def providers_page() -> str:
    """The content of the page about providers."""
    head = "| Name | Provider | Key | Speaks | Without paying | Page |\n|---|---|---|---|---|---|\n"
    lines = [_page_line(row) for row in ROWS if row.name != SANDBOX]
    return _PROVIDERS_HEAD + head + "".join(lines)


def guide(text: str) -> str:
    """The guide with its generated parts made anew: what stands between ``<!-- NAME -->`` and ``<!-- end -->``."""
    for name, table in _parts().items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (start and end):
            raise ValueError(f"{GUIDE} has no part <!-- {name} --> … <!-- end -->")
        text = before + start + table + end + after
    return text


def write(folder: Path) -> None:
    """Write the three files of a checkout."""
    (folder / ENV_EXAMPLE).write_text(env_example(), encoding="utf-8")
    (folder / PROVIDERS).write_text(providers_page(), encoding="utf-8")
    page = folder / GUIDE
    page.write_text(guide(page.read_text(encoding="utf-8")), encoding="utf-8")


def _parts() -> dict[str, str]:
    return {"providers": providers_table(), **{f"settings: {group}": settings_table(group) for group in GROUPS}}


def _key_lines() -> Iterator[str]:
    yield "\n# Keys of providers; one that is set switches its provider on. OR_API_KEY is OpenRouter's.\n"
    yield f"# More keys of the same provider have _{FURTHER_KEYS[0]} to _{FURTHER_KEYS[-1]} behind the name: OPENAI_API_KEY_{FURTHER_KEYS[0]}.\n"
    yield "OR_API_KEY=\n"
    shown: set[str] = set()
    for row in ROWS:
        names = [name for name in (row.key_env, row.token_env, *(variable for _, variable in row.fills)) if name]
        if row.key_env and not shown.issuperset(names):
            also = f" (or {row.also_key_env})" if row.also_key_env else ""
            yield f"# {row.title}{also}\n"
            yield from (f"# {name}=\n" for name in names if name not in shown)
            shown.update(names)
    yield "\n# Servers of your own; an address that is set switches its provider on. Services take one, too.\n"
    for row in ROWS:
        if row.is_local:
            yield f"# {row.title}\n# {row.base_url_env}={row.base_url}\n"


def _example(row: Setting) -> str:
    return f"# {row.spec.doc}{_bounds(row)}\n# {row.variable}={shown(row.default)}\n"


def shown(value: Any) -> str:
    """A default as one would write it in ``.env``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, tuple):
        return ",".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(row: Setting) -> str:
    if get_origin(row.type) is Literal:
        return f" One of {', '.join(get_args(row.type))}."
    low, high = row.spec.low, row.spec.high
    if low is None:
        return "" if row.type is str or row.type is bool else f" ({_KINDS[row.type]})"
    return f" ({low:g} to {high:.12g})" if high is not None else f" (from {low:g})"


def _table_line(row: Setting) -> str:
    names = [f"`{row.variable}`", *(also.note() for also in row.spec.also if also.is_variable)]
    paths = [f"`{row.name}`"] if row.spec.in_file else []
    paths += [also.note() for also in row.spec.also if not also.is_variable]
    default = f"`{shown(row.default)}`" if shown(row.default) else "empty"
    return f"| {', '.join(names)} | {', '.join(paths) or 'no'} | {default} | {row.spec.doc}{_bounds(row)} |\n"


def _provider_line(row: Provider) -> str:
    source = f"[page]({row.source}), {row.checked}" if row.source.startswith("https") else row.checked
    return (
        f"| `{row.name}` | {row.title} | {_switch(row)} | `{row.base_url}` (`{row.base_url_env}`) "
        f"| {f'`{row.default_model}`' if row.default_model else 'the first one listed'} "
        f"| {', '.join(sorted(row.endpoints))} | {source} |\n"
    )


def _switch(row: Provider) -> str:
    if row.name == SANDBOX:
        return f"`{row.base_url_env}`, or by no other provider being on"
    if row.is_local:
        return f"`{row.base_url_env}`"
    needed = "".join(f" and {_filled_by(row, word, variable)}" for word, variable in row.fills)
    return _keys(row) + needed + (" and its name in the configuration" if row.only_named else "")


def _keys(row: Provider) -> str:
    return " or ".join(f"`{name}`" for name in (row.key_env, row.also_key_env, row.token_env) if name)


def _filled_by(row: Provider, word: str, variable: str) -> str:
    """The variable for a word in braces; one in the address may be left out where the whole address is given."""
    return f"`{row.base_url_env}` or `{variable}`" if f"{{{word}}}" in row.base_url else f"`{variable}`"


def _page_line(row: Provider) -> str:
    needed = "".join(f"; {_filled_by(row, word, variable)}" for word, variable in row.fills)
    key = f"`{row.base_url_env}`" if row.is_local else _keys(row) + needed
    notes = ["only when named"] if row.only_named else []
    notes += [f"retired {row.retired}"] if row.retired else []
    return (
        f"| `{row.name}` | {row.title}{_in_brackets(notes)} | {key} "
        f"| {', '.join(row.dialects)} | {row.free or ('your own server' if row.is_local else 'nothing published')} "
        f"| [page]({row.source}), {row.checked} |\n"
    )


def _in_brackets(notes: list[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""

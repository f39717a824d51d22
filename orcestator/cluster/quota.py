"""The quota ledger of a process that holds keys: restored at its start, told of the configured limits, and kept from then on."""

import asyncio
import time
from functools import partial
from pathlib import Path

from orcestator.cluster.lifetime import Lifetime
from orcestator.routing.state.quota import Key, QuotaBook, QuotaRow
from orcestator.routing.verdict import Verdicts
from orcestator.settings import Settings
from orcestator.store.engines import open_rows
from orcestator.store.quota_rows import FILE_NAME, GUARANTEES, QuotaRows, key_name, schema_of
from orcestator.telemetry.background import BackgroundWriter

CLOSE_SECONDS = 5.0


def open_quota(
    settings: Settings, lifetime: Lifetime, process: int = 1
) -> tuple[QuotaBook, BackgroundWriter[QuotaRow]]:
    """The ledger, as it was when this one of several processes wrote it last, and what keeps it."""
    rows = QuotaRows(open_rows(Path(settings.state_dir) / FILE_NAME, schema_of(process), GUARANTEES), process)
    writer = BackgroundWriter[QuotaRow]("quota", rows, keeps_failed=True)
    book = QuotaBook(time.time() - time.monotonic(), changed=writer, tag=partial(key_name, rows.salt()))
    book.restore(rows.read())
    limit(book, settings)
    writer.start()
    lifetime.on_close(lambda: asyncio.to_thread(writer.close, CLOSE_SECONDS))
    return book, writer


def limit(book: QuotaBook, settings: Settings) -> None:
    """Tell the ledger whose keys it counts, and of the limits in the configuration, which hold for each of them and are the only
    configured ones: what was kept of others is over."""
    book.use_learning(learns=settings.learn_rate_limits)
    book.is_judged = Verdicts(settings.verdicts).is_a_persons
    wanted: set[Key] = set()
    for provider in settings.providers:
        name, is_pacific = provider.row.name, provider.row.dialect == "gemini"
        numbered = {str(number) if number > 1 else "": key.reveal() for number, key in enumerate(provider.keys, 1)}
        book.has_keys(name, numbered or {"": ""})
        for credential in numbered or ("",):
            for model, limits in {"": provider.limits, **provider.model_limits}.items():
                named = {str(unit): value for unit, value in limits.items()}
                book.limit(name, credential, model, named, is_pacific=is_pacific)
                wanted.add((name, credential, model))
    book.keep_limits_of(wanted)

"""The quota ledger of a process that holds keys: restored at its start, told of the configured limits, and kept from then on."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from orcestator.cluster.lifetime import Lifetime
from orcestator.routing.quota import QuotaBook, QuotaRow
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.store.quota_rows import FILE_NAME, QuotaRows, key_name
from orcestator.telemetry.background import BackgroundWriter

CLOSE_SECONDS = 5.0


def open_quota(settings: Settings, lifetime: Lifetime) -> tuple[QuotaBook, BackgroundWriter[QuotaRow]]:
    """The ledger, as it was when the last process wrote it, and what keeps it."""
    rows = QuotaRows(Path(settings.state_dir) / FILE_NAME)
    writer = BackgroundWriter[QuotaRow]("quota", rows, keeps_failed=True)
    book = QuotaBook(time.time() - time.monotonic(), changed=writer, tag=partial(key_name, rows.salt()))
    book.restore(rows.read())
    limit(book, settings.providers)
    writer.start()
    lifetime.on_close(lambda: asyncio.to_thread(writer.close, CLOSE_SECONDS))
    return book, writer


def limit(book: QuotaBook, providers: Sequence[ProviderSetting]) -> None:
    """Tell the ledger whose keys it counts, and of the limits in the configuration, which hold for each of them."""
    for provider in providers:
        numbered = {str(number) if number > 1 else "": key.reveal() for number, key in enumerate(provider.keys, 1)}
        book.has_keys(provider.row.name, numbered or {"": ""})
        for credential in numbered or ("",):
            for model, limits in {"": provider.limits, **provider.model_limits}.items():
                if limits:
                    is_pacific = provider.row.dialect == "gemini"
                    named = {str(name): value for name, value in limits.items()}
                    book.limit(provider.row.name, credential, model, named, is_pacific=is_pacific)

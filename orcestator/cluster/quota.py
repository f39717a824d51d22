"""The quota ledger of a process that holds keys: restored at its start, told of the configured limits, and kept from then on."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from orcestator.cluster.lifetime import Lifetime
from orcestator.routing.quota import QuotaBook
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.store.quota_rows import FILE_NAME, QuotaRows
from orcestator.telemetry.background import BackgroundWriter

CLOSE_SECONDS = 5.0


def open_quota(settings: Settings, lifetime: Lifetime) -> QuotaBook:
    """The ledger, as it was when the last process wrote it."""
    rows = QuotaRows(Path(settings.state_dir) / FILE_NAME)
    writer = BackgroundWriter("quota", rows, keeps_failed=True)
    book = QuotaBook(time.time() - time.monotonic(), changed=writer)
    book.restore(rows.read(), time.monotonic())
    limit(book, settings.providers)
    writer.start()
    lifetime.on_close(lambda: asyncio.to_thread(writer.close, CLOSE_SECONDS))
    return book


def limit(book: QuotaBook, providers: Sequence[ProviderSetting]) -> None:
    """Tell the ledger of the limits in the configuration, which hold for each key."""
    for provider in providers:
        for number in range(1, max(1, len(provider.keys)) + 1):
            credential = str(number) if number > 1 else ""
            for model, limits in {"": provider.limits, **provider.model_limits}.items():
                if limits:
                    is_pacific = provider.row.dialect == "gemini"
                    named = {str(name): value for name, value in limits.items()}
                    book.limit(provider.row.name, credential, model, named, is_pacific=is_pacific)

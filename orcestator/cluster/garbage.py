"""When the garbage collector may stop the process, and for how long.

CPython's collector walks through everything that was made since it last looked, and, now and then, through everything that is alive.
A request leaves no cycle behind (a test holds that over every kind of outcome), so that looking finds next to nothing; but what is
remembered of requests (records, statistics, decisions) makes each look longer, up to tens of milliseconds in which nobody is served.
So the young are looked at often, which is short, and what lived through that is put aside, where no look comes. What is aside is freed
like anything else when nobody holds it any more; only cycles in it wait, for a moment in which nobody is served.
"""

import asyncio
import gc
from collections.abc import Callable

YOUNG_OBJECTS = 2_000
"""So many more objects than before are looked through at once: a fraction of a millisecond."""
_MIDDLE_AGED = 10
"""Looks at the young, until those that lived through them are looked at once more."""
_NEVER = 1 << 30
ASIDE_SECONDS = 5.0
"""How often what lives is put aside."""
WHOLE_SECONDS = 3_600.0
"""How often everything is looked through, in an idle moment."""


def put_the_start_aside() -> None:
    """What was made at the start lives to the end, and need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, _MIDDLE_AGED, _NEVER)


async def keep_pauses_short(is_idle: Callable[[], bool]) -> None:
    """Put aside what lives, and look through everything once in a long while, when ``is_idle`` says that nobody is served."""
    loop = asyncio.get_running_loop()
    whole_at = loop.time() + WHOLE_SECONDS
    while True:
        await asyncio.sleep(ASIDE_SECONDS)
        if loop.time() >= whole_at and is_idle():
            gc.unfreeze()
            gc.collect()
            whole_at = loop.time() + WHOLE_SECONDS
        gc.freeze()

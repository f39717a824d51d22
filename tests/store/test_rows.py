"""What every engine of rows does. A second one is one more line in the fixture; that the ledger and kept responses work on it, too,
is tested here, and what they do is tested where they are."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.routing.events import AttemptEnded, RequestEnded
from orcestator.store.engines import file_of, open_rows
from orcestator.store.kept_responses import conversation_of, items_of, removal_of
from orcestator.store.kept_rows import KeptRows
from orcestator.store.kept_turns import Bounds, Put, Remove
from orcestator.store.ledger import Ledger
from orcestator.store.record_rows import ATTEMPTS, REQUESTS, attempt_row, request_row
from orcestator.store.record_rows import COLUMNS as RECORD_COLUMNS
from orcestator.store.rows import Guarantees, Rows, Schema, Transaction
from orcestator.store.schema import RECORDS
from tests.store.engines import MemoryRows

TABLE = """
CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL, number BIGINT, share FLOAT, on_sale BOOLEAN)
"""
THINGS = Schema(0, lambda _engine: (TABLE,))
COLUMNS = ("name", "number", "share", "on_sale")
ALL = "SELECT name, number, share, on_sale FROM thing ORDER BY id"

Open = Callable[[Schema], Rows]


@pytest.fixture(params=["sqlite", "sqlite that starts anew", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens an empty database of each engine; closed at the end."""
    made: list[Rows] = []

    def open_one(schema: Schema) -> Rows:
        guarantees = Guarantees(starts_anew=request.param != "sqlite")
        path = tmp_path / "deeper" / "rows.db"
        made.append(MemoryRows(schema) if request.param == "memory" else open_rows(path, schema, guarantees))
        return made[-1]

    yield open_one
    for rows in made:
        rows.close()


@pytest.fixture
def things(opened: Open) -> Rows:
    """A database with one table."""
    return opened(THINGS)


def names(rows: Rows) -> list[str]:
    """What there is, to who reads."""
    return [name for (name,) in rows.read(lambda reading: reading.execute("SELECT name FROM thing ORDER BY id"))]


def add(rows: Rows, *names: str) -> None:
    """Rows of these names, in a transaction."""
    refused = rows.transact(lambda transaction: transaction.append("thing", ["name"], [(name,) for name in names]))
    assert refused == []


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1000])
def test_what_is_appended_is_there_in_its_order(things: Rows, count: int) -> None:
    given = [(f"Zoë {number} 🚀\n", number - 500, number / 3, number % 2 == 0) for number in range(count)]
    assert things.transact(lambda transaction: transaction.append("thing", COLUMNS, given)) == []
    assert things.read(lambda reading: reading.execute(ALL)) == given


def test_what_cannot_be_held_is_replaced_or_left_out(things: Rows) -> None:
    """And holds up no other row, before it or after it."""
    given: list[tuple[object, ...]] = [(f"row {number}", number) for number in range(130)]
    given[3] = ("a\ud800b", 10**30)
    given[70] = (None, 70)
    given[129] = (None, 129)

    def append(transaction: Transaction) -> list[int]:
        transaction.insert("thing", {"name": "first"})
        refused = transaction.append("thing", ("name", "number"), given)
        transaction.insert("thing", {"name": "last"})
        assert all("name" in reason for _, reason in refused)
        return [number for number, _ in refused]

    assert things.transact(append) == [70, 129]
    assert names(things) == [
        *("first", *(f"row {number}" for number in range(3)), "a\\ud800b"),
        *(f"row {number}" for number in range(4, 129) if number != 70),
        "last",
    ]
    largest = "SELECT max(number) FROM thing"
    assert things.read(lambda reading: reading.execute(largest)) == [(2**63 - 1,)]


def test_a_new_row_has_an_id_by_which_it_is_found(things: Rows) -> None:
    def two(transaction: Transaction) -> tuple[int, int]:
        first = transaction.insert("thing", {"name": "one", "on_sale": True})
        second = transaction.insert("thing", {"name": "two", "on_sale": False})
        assert transaction.execute("SELECT name FROM thing WHERE id = :id", {"id": second}) == [("two",)]
        return first, second

    first, second = things.transact(two)
    assert 0 < first < second
    named = {"id": first, "name": "two"}
    assert things.read(
        lambda reading: reading.execute("SELECT id FROM thing WHERE id = :id OR name = :name", named)
    ) == [
        (first,),
        (second,),
    ]
    assert things.read(lambda reading: reading.execute("SELECT name FROM thing WHERE NOT on_sale")) == [("two",)]


@pytest.mark.parametrize("problem", [KeyError, OSError, KeyboardInterrupt])
def test_a_transaction_is_made_whole_or_not_at_all(things: Rows, problem: type[BaseException]) -> None:
    """Whatever ends it, which leaves as it is; the next one finds nothing of it."""
    add(things, "before")

    def fails(transaction: Transaction) -> None:
        transaction.insert("thing", {"name": "never"})
        transaction.execute("DELETE FROM thing WHERE name = :name", {"name": "before"})
        raise problem("on the way")

    with pytest.raises(problem, match="on the way"):
        things.transact(fails)
    assert names(things) == ["before"]
    add(things, "after")
    assert names(things) == ["before", "after"]


def test_who_reads_sees_what_is_committed_and_waits_for_nobody(things: Rows) -> None:
    """From another thread, and from this one."""
    add(things, "committed")
    seen: list[list[str]] = []

    def slow(transaction: Transaction) -> None:
        transaction.insert("thing", {"name": "not yet"})
        seen.append(names(things))
        reader = threading.Thread(target=lambda: seen.append(names(things)))
        reader.start()
        reader.join()

    things.transact(slow)
    assert seen == [["committed"]] * 2
    assert names(things) == ["committed", "not yet"]


def test_who_reads_changes_nothing(things: Rows) -> None:
    add(things, "one")
    with suppress(OSError):
        things.read(lambda reading: reading.execute("DELETE FROM thing"))
    assert names(things) == ["one"]


def test_what_is_wrong_with_the_database_is_an_os_error(things: Rows) -> None:
    """And costs neither what is there nor the next one."""
    add(things, "before")
    with pytest.raises(OSError, match="nothing_like_it"):
        things.transact(lambda transaction: transaction.execute("SELECT 1 FROM nothing_like_it"))
    with pytest.raises(OSError, match="nothing_like_it"):
        things.read(lambda reading: reading.execute("SELECT 1 FROM nothing_like_it"))
    add(things, "after")
    assert names(things) == ["before", "after"]


def test_what_is_wrong_with_a_value_is_none(things: Rows) -> None:
    """Who tried it again would never come to an end."""
    with pytest.raises(ValueError, match="name"):
        things.transact(lambda transaction: transaction.insert("thing", {"number": 1}))
    with pytest.raises(ValueError, match="surrogates"):
        things.transact(lambda transaction: transaction.insert("thing", {"name": "\ud800"}))
    add(things, "after")
    assert names(things) == ["after"]


def test_it_is_made_when_it_is_needed_and_opened_again(things: Rows) -> None:
    things.check()
    things.prepare()
    things.prepare()
    add(things, "one")
    things.close()
    things.close()
    add(things, "two")
    things.check()
    assert names(things) == ["one", "two"]


def test_the_ledger_writes_what_it_is_given(
    opened: Open, request_ended: Callable[..., RequestEnded], attempt_ended: Callable[..., AttemptEnded]
) -> None:
    """One that cannot be held, too, and every field of the others."""
    rows = opened(RECORDS)
    ledger = Ledger(rows, str, str)
    ledger.prepare()
    one = request_ended(request_id="one", tried=(attempt_ended(number=2),))
    ledger.write([one, request_ended(request_id="\ud800")])
    ledger.write([])
    text = f"SELECT {', '.join(RECORD_COLUMNS[REQUESTS])} FROM request_row ORDER BY id"
    found = rows.read(lambda reading: reading.execute(text))
    assert found == [request_row(one), request_row(request_ended(request_id="\\ud800"))]
    text = f"SELECT {', '.join(RECORD_COLUMNS[ATTEMPTS])} FROM attempt_row"
    assert rows.read(lambda reading: reading.execute(text)) == [attempt_row("one", one.tried[0])]
    version = "SELECT version FROM schema_version"
    assert rows.read(lambda reading: reading.execute(version)) == [(RECORDS.version,)]


def put(name: str, previous: str = "", owner: str = "me", created: float = 0.0) -> Put:
    """A turn with one output item."""
    response = b'{"id": "%b", "output": [{"id": "item-%b"}]}' % (name.encode(), name.encode())
    own = b'[{"asked": "%b"}]' % name.encode()
    return Put(owner, name, previous, response, own, (f"item-{name}",), lambda: b"[]", created)


def test_conversations_are_found_removed_and_forgotten(opened: Open) -> None:
    """By the statements that kept responses have, each of them once at least."""
    rows = opened(RECORDS)
    kept = KeptRows(rows, Bounds(responses=3, seconds=100.0), lambda: 50.0)

    def found(name: str, owner: str = "me", now: float = 50.0) -> list[str] | None:
        turns = rows.read(lambda reading: conversation_of(reading, owner=owner, response_id=name, now=lambda: now))
        return None if turns is None else [f"{turn.response_id}:{turn.own}" for turn in turns]

    def items(*names: str) -> list[str]:
        return list(rows.read(lambda reading: items_of(reading, owner="me", item_ids=names, now=lambda: 50.0)))

    def is_removed(name: str) -> bool:
        return rows.read(lambda reading: removal_of(reading, owner="me", response_id=name))

    kept.write([put("a"), put("b", "a"), put("c", "b")])
    assert found("c") == ["a:[{'asked': 'a'}]", "b:[{'asked': 'b'}]", "c:[{'asked': 'c'}]"]
    assert (found("c", "somebody else"), found("c", now=100.0), found("unknown")) == (None, None, None)
    assert items("item-a", "item-c", "item-x") == ["item-a", "item-c"]
    kept.write([Remove("me", "b"), Remove("me", "unknown")])
    assert (found("b"), is_removed("b"), is_removed("c"), items("item-b")) == ([], True, False, [])
    assert found("c") == ["a:[{'asked': 'a'}]", ":[{'asked': 'b'}]", "c:[{'asked': 'c'}]"]
    kept.write([Remove("me", "c"), put("a", created=1.0)])
    assert found("a") == ["a:[{'asked': 'a'}]"]
    kept.write([put("q", owner="quiet", created=1.0)])
    kept.write([put("d", created=2.0)])
    kept.write([put("e", created=3.0)])
    assert (found("q", "quiet"), found("c")) == (["q:[{'asked': 'q'}]"], None), "who takes the most room makes it"
    kept.wall = lambda: 1000.0
    kept.write([put("f", created=1000.0)])
    assert rows.read(lambda reading: reading.execute("SELECT response_id FROM kept_response")) == [("f",)]
    assert rows.read(lambda reading: reading.execute("SELECT item_id FROM kept_item")) == [("item-f",)]
    kept.close()


def test_over_its_bytes_the_caller_with_the_most_bytes_makes_room(opened: Open) -> None:
    """Not the one with the most turns."""
    rows = opened(RECORDS)
    kept = KeptRows(rows, Bounds(bytes=20_000), lambda: 50.0)
    large = put("large", owner="heavy")._replace(own=b'["%b"]' % (b"x" * 15_000))
    kept.write([*(put(f"small-{number}") for number in range(20)), large])
    kept.write([large._replace(response_id="larger")])
    kept.write([put("last")])
    texts = "SELECT response_id FROM kept_response ORDER BY id"
    found = [name for (name,) in rows.read(lambda reading: reading.execute(texts))]
    assert found == [*(f"small-{number}" for number in range(20)), "larger", "last"]
    kept.close()


@pytest.mark.parametrize("address", ["rows.db", "/data/rows.db", "C:\\data\\rows.db", "c://rows.db", "./a b.db"])
def test_an_address_without_a_scheme_is_a_path(address: str) -> None:
    assert file_of(address) == Path(address)


def test_the_url_of_a_file_names_it(tmp_path: Path) -> None:
    assert file_of("sqlite:///rows.db") == Path("rows.db")
    assert file_of("sqlite:////data/rows.db") == Path("/data/rows.db")
    rows = open_rows(f"sqlite:///{tmp_path / 'rows.db'}", THINGS, Guarantees())
    add(rows, "one")
    rows.close()
    assert [path.name for path in tmp_path.iterdir()] == ["rows.db"]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("postgresql://me:s3cret@db/rows", "postgresql"),
        ("MySQL://db", "MySQL"),
        ("sqlite://", "sqlite"),
        ("sqlite:///", "sqlite"),
    ],
)
def test_a_url_that_no_engine_is_for_stops_the_start(address: str, kind: str) -> None:
    """With what to do; nothing of its password is told."""
    with pytest.raises(
        StartupProblem, match=f"OR_DB_PATH is a URL of the kind '{kind}://'.*path of a SQLite file"
    ) as caught:
        open_rows(address, THINGS, Guarantees())
    assert "s3cret" not in caught.value.message

"""What every engine of documents does, and what the files of the first one are."""

import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orcestator.store.documents import Document, Documents, FileDocuments
from tests.store.engines import MemoryDocuments

NAME = "routing_rules.json"


@pytest.fixture(params=["files", "memory"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Documents:
    """An empty engine of each kind."""
    return FileDocuments(tmp_path / "state") if request.param == "files" else MemoryDocuments()


def test_what_is_put_is_there_until_it_is_deleted(documents: Documents) -> None:
    assert documents.get(NAME) is None
    documents.put(NAME, b"one")
    documents.put(NAME, b"\x00two\r\n")
    assert documents.get(NAME) == b"\x00two\r\n"
    documents.delete(NAME)
    assert documents.get(NAME) is None
    documents.delete(NAME)


def test_names_are_listed_in_their_order(documents: Documents) -> None:
    assert documents.names() == []
    for name in ("b.json", "added.b", "added.a"):
        documents.put(name, b"")
    assert documents.names() == ["added.a", "added.b", "b.json"]
    assert documents.names("added.") == ["added.a", "added.b"]
    assert documents.get("b.json") == b""


def test_every_put_is_another_version(documents: Documents) -> None:
    """Of the same content, too, and ``put`` gives the one that a poll finds."""
    assert documents.version(NAME) is None
    seen = [documents.put(NAME, b"same")]
    assert documents.version(NAME) == seen[0]
    for _ in range(20):
        seen.append(documents.put(NAME, b"same"))
        assert documents.version(NAME) == seen[-1] != seen[-2]
    documents.put("other", b"")
    assert documents.version(NAME) == seen[-1]
    documents.delete(NAME)
    assert documents.version(NAME) is None


def test_a_change_is_made_of_what_is_there(documents: Documents) -> None:
    """What it cannot be made of stays as it is."""
    first = documents.change(NAME, lambda before: b"none" if before is None else b"some")
    assert documents.version(NAME) == first
    assert documents.change(NAME, lambda before: (before or b"") + b", one") == documents.version(NAME) != first

    def refuse(_before: bytes | None) -> bytes:
        raise LookupError

    with pytest.raises(LookupError):
        documents.change(NAME, refuse)
    assert documents.get(NAME) == b"none, one"


def test_no_change_is_lost_to_another(documents: Documents) -> None:
    """Each is made of what the one before it left."""
    everybody_is_here = threading.Barrier(8)

    def count(before: bytes | None) -> bytes:
        return str(int(before or b"0") + 1).encode()

    def change(_number: int) -> None:
        everybody_is_here.wait(20)
        for _ in range(5):
            documents.change(NAME, count)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(8)))
    assert documents.get(NAME) == b"40"


def test_a_place_names_the_document(documents: Documents) -> None:
    assert NAME in documents.place(NAME)


def test_one_of_them_is_the_same_document(documents: Documents) -> None:
    one = Document(documents, NAME)
    assert (one.get(), one.version()) == (None, None)
    version = one.put(b"content")
    assert (one.get(), documents.get(NAME)) == (b"content", b"content")
    assert one.version() == documents.version(NAME) == version
    assert one.change(lambda before: (before or b"") + b"s") == one.version()
    assert documents.get(NAME) == b"contents"
    assert one.place() == documents.place(NAME)


def test_a_file_is_named_like_its_document_and_its_owner_s_alone(tmp_path: Path) -> None:
    """Formats of earlier versions are found, and nothing else lies about."""
    FileDocuments(tmp_path / "state").put(NAME, b"{}")
    assert [path.name for path in (tmp_path / "state").iterdir()] == [NAME]
    assert (tmp_path / "state" / NAME).read_bytes() == b"{}"
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "state" / NAME).stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_what_a_killed_process_was_writing_is_no_document(tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.0123.draft").write_bytes(b"{")
    FileDocuments(tmp_path).put(NAME, b"{}")
    assert FileDocuments(tmp_path).names() == [NAME]


def test_a_change_of_another_process_is_another_version(tmp_path: Path) -> None:
    ours, theirs = FileDocuments(tmp_path), FileDocuments(tmp_path)
    before = ours.put(NAME, b"ours")
    theirs.put(NAME, b"them")
    assert ours.version(NAME) != before
    assert ours.get(NAME) == b"them"


@pytest.mark.parametrize("name", ["../up", "deep/er", ".hidden", "..", ""])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    documents = FileDocuments(tmp_path / "state")
    uses = (
        documents.get,
        documents.delete,
        lambda name: documents.put(name, b""),
        lambda name: documents.change(name, lambda _before: b""),
    )
    for use in uses:
        with pytest.raises(ValueError, match="cannot be the name"):
            use(name)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_or_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    documents = FileDocuments(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        documents.put(NAME, b"")
    with pytest.raises(OSError, match="file"):
        documents.get(NAME)
    assert documents.names() == []
    assert documents.version(NAME) is None

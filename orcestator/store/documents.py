"""Documents: small things that are kept whole under a name. Rules, added providers, known workers, facts that were probed.

Files in the state folder are the first engine, one document a file. Another one has to pass the same tests.
"""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple, Protocol

from orcestator.store.files import alone_in, make_folder, replace_file

Version = Hashable
"""Another one with every ``put`` and ``change``; says nothing of which is later."""
Change = Callable[[bytes | None], bytes]
"""Makes the new content of the old one, None where there is none. What it raises leaves everything as it was."""


class Documents(Protocol):
    """An engine. A name is letters, digits, dots, dashes and underscores, and begins with none of the marks. All methods block."""

    def get(self, name: str) -> bytes | None:
        """The content, None where there is no such document. Raises OSError."""

    def put(self, name: str, content: bytes) -> Version:
        """Keep the content in place of what was there, at once and lastingly; its version. Raises OSError, and then nothing changed."""

    def change(self, name: str, change: Change) -> Version:
        """The same with what ``change`` makes of the content, in which no ``change`` of anybody else is lost: they come one after
        the other, those of other processes too."""

    def delete(self, name: str) -> None:
        """Forget a document, if it is there. Raises OSError."""

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin so, in their order; none where they cannot be listed."""

    def version(self, name: str) -> Version | None:
        """What a poll compares. Ask for it before ``get``: then a change meanwhile is seen the next time. None where there is none."""

    def place(self, name: str) -> str:
        """Where a person finds the document, for messages."""


class Document(NamedTuple):
    """One document of an engine, for a part that needs no other."""

    documents: Documents
    name: str

    def get(self) -> bytes | None:
        """The content, None where there is none. Raises OSError."""
        return self.documents.get(self.name)

    def put(self, content: bytes) -> Version:
        """Keep the content; its version. Raises OSError, and then nothing changed."""
        return self.documents.put(self.name, content)

    def change(self, change: Change) -> Version:
        """Keep what ``change`` makes of the content, losing no other change; its version. Raises OSError, and then nothing changed."""
        return self.documents.change(self.name, change)

    def version(self) -> Version | None:
        """Another one with every ``put``; None where there is no document."""
        return self.documents.version(self.name)

    def place(self) -> str:
        """Where a person finds it."""
        return self.documents.place(self.name)


class FileDocuments:
    """The engine of files: a document is the file of its name in ``folder``, for its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes | None:
        """The content of the file."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> Version:
        """Replace the file."""
        facts = replace_file(self._path(name), content)
        return facts.st_mtime_ns, facts.st_ino

    def change(self, name: str, change: Change) -> Version:
        """Read and replace the file, alone in its folder."""
        self._path(name)
        make_folder(self._folder)
        with alone_in(self._folder):
            return self.put(name, change(self.get(name)))

    def delete(self, name: str) -> None:
        """Remove the file."""
        self._path(name).unlink(missing_ok=True)

    def names(self, prefix: str = "") -> list[str]:
        """The names of the files; one that begins with a dot is a draft of ours, or nothing of ours."""
        try:
            found = [path.name for path in self._folder.iterdir()]
        except OSError:
            return []
        return sorted(name for name in found if name.startswith(prefix) and not name.startswith("."))

    def version(self, name: str) -> Version | None:
        """When the file was written, and which one it is."""
        try:
            facts = self._path(name).stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_ino

    def place(self, name: str) -> str:
        """The path of the file."""
        return str(self._path(name))

    def _path(self, name: str) -> Path:
        if not name or name.startswith(".") or Path(name).name != name:
            raise ValueError(f"{name!r} cannot be the name of a document")
        return self._folder / name


def open_documents(state_dir: str) -> Documents:
    """The documents of the state folder."""
    return FileDocuments(Path(state_dir))

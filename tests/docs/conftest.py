"""One cluster without any key, as a newcomer starts it, for everything the pages say can be asked of it."""

from collections.abc import Iterator

import pytest

from tests.cluster.harness import Cluster


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """``orcestator up`` with nothing set but free ports."""
    with Cluster(tmp_path_factory.mktemp("newcomer")) as running:
        yield running

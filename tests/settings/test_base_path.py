"""The path under which everything is served as well: in any of the ways in which people write one."""

from collections.abc import Callable

import pytest

from tests.settings.conftest import Load


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/router", "/router"),
        ("router/", "/router"),
        ("/a/b-c.d_e~1/", "/a/b-c.d_e~1"),
        ("api", "/api"),
        ("/api/v1", "/api/v1"),
        ("/", ""),
    ],
)
def test_it_has_one_slash_before_it_and_none_behind(loaded: Load, written: str, path: str) -> None:
    for name in ("OR_API_BASE_PATH", "API_BASE_PATH"):
        found = loaded({name: written})
        assert (found.api_base_path, found.not_yet) == (path, ())


@pytest.mark.parametrize(
    "written", ["/a b", "/a?b", "/a#b", "/../a", "/a/..", "/a/./b", "/a//b", "/é", "/a%20b", "https://x.example/a"]
)
def test_what_is_no_path_is_refused(refusal: Callable[..., str], written: str) -> None:
    assert "/router" in refusal({"OR_API_BASE_PATH": written})


@pytest.mark.parametrize("written", ["/v1", "v1beta/x"])
def test_the_apis_own_path_is_refused(refusal: Callable[..., str], written: str) -> None:
    assert "must not begin with v1" in refusal({"OR_API_BASE_PATH": written})

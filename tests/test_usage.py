"""What an answer used, in classes."""

from orcestator.usage import NOTHING, UNTOLD, Usage


def test_what_no_cache_had_anything_to_do_with() -> None:
    used = Usage(100, 5, cache_read_tokens=50, cache_write_5m_tokens=20, cache_write_1h_tokens=10)
    assert used.input_tokens == 20
    assert Usage(7).input_tokens == 7


def test_nothing_and_what_nobody_can_tell_are_two() -> None:
    assert NOTHING == Usage() != UNTOLD
    assert UNTOLD.tokens_estimated

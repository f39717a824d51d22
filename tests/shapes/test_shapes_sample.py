"""A few shapes of each kind, before the whole product. All of them: ``python3 scripts/shapes.py``."""

from pathlib import Path

from tests.shapes.running import Rig, cells_of
from tests.shapes.table import GROUPS, shapes

SAMPLE = {
    "framings": ("byte_by_byte", "until_close", "gzip_members", "trailers", "interim_103_twice", "http_1_0", "rst_after_all"),
    "grammars": ("crlf_split", "ends_mixed", "bom", "no_last_newline", "data_on_two_lines", "long_comment"),
    "endings": (
        "fin_in_words", "rst_after_opening", "clean_end_in_event", "fin_in_chunk", "silent_in_words", "silent_after_head",
        "error_in_words", "error_after_opening", "gzip_garbage", "held_after_all", "fin_for_last_chunk", "length_too_long",
    ),
    "heads": ("nul_in_field", "two_lengths", "html_200", "no_body_204", "redirect_307", "error_in_200_as_text", "json_null_200"),
    "statuses": ("status_422", "status_529", "status_401", "status_500_cut_json", "status_500_bomb", "retry_after_429_10"),
    "openai_texts": ("nulls_everywhere", "done_without_finish", "neither_finish_nor_done", "reasoning_between", "done_only"),
    "openai_faults": ("error_text_first", "garbage_only_html", "error_beside_choices_then_done", "name_twice", "deep_json"),
    "openai_calls": ("calls_interleaved", "index_gap", "ids_same", "name_empty_later", "half_call_end", "calls_no_finish"),
    "usages": ("usage_huge", "usage_bools", "usage_on_each"),
    "wholes": ("two_calls", "cut_by_rst", "cut_cleanly", "blank_lines_then_all", "length_shorter_than_all", "two_bodies"),
    "others": ("text_and_call", "fin_in_call", "pings_between", "no_finish", "error_line"),
    "gaps": ("broken_word_2", "error_beside_word", "call_without_start", "broken_word", "legacy_function_call", "done_for_message_stop"),
}  # fmt: skip
"""Names by the function of the table that has them."""


def test_an_answer_is_whole_or_the_caller_is_told(tmp_path: Path) -> None:
    """Never both, never neither; and with a healthy second provider a failure before the first content is not seen."""
    wanted = {name for names in SAMPLE.values() for name in names}
    chosen = [shape for shape in shapes().values() if shape.name in wanted]
    assert wanted == {shape.name for shape in chosen}, "a name that the table does not have"
    results = Rig([cell for shape in chosen for cell in cells_of(shape)], tmp_path).run(lambda *_: None)
    assert [f"{cell.id}: {verdict.why}" for cell, verdict in results if verdict.outcome == "wrong"] == []


def test_every_kind_is_sampled() -> None:
    """A new kind of shape is in the sample, too."""
    assert [group.__name__ for group in GROUPS] == list(SAMPLE)
    for group in GROUPS:
        assert {shape.name for shape in group()} >= set(SAMPLE[group.__name__]), group.__name__

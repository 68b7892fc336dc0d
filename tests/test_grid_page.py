"""The page of a grid, and the answers to the eight questions."""

import json
import re
from pathlib import Path

import grid as benchmark_of_grid
import pytest

from fr_bench import report
from fr_bench.grid._answers import answers
from fr_bench.grid._plan import Cell, Training
from fr_bench.report._grid import heat_map


def cell(method, rate, mode, score, size, us, aware=False, **changes):
    """A cell as it stands in `grid.json`, with an interval of 2 points on either side."""
    held = None if score is None else {"value": score, "low": score - 0.02, "high": score + 0.02}
    times = {"state": "done", "why": "", "median_us": us, "p95_us": us and 2 * us, "cpu_use": 0.97}
    facts = {"delegate": "xnnpack", "ops": [3, 4], "longest_op": ["CONV_2D", 0.6]}
    facts |= {"device": {"name": "host", "processor": "Abacus 7"}, "tool": "LiteRT 2.3"}
    facts |= {"milliwatts": None, "peak_memory_bytes": 4096}
    return {
        **Cell(Training(method, rate, aware), mode).to_dict(),
        "state": "done", "why": "", "file": "m.tflite", "kept": 5,
        "score": held and {**held, "n": 80},
        "download": "tflite.gz", "download_bytes": size, "device_bytes": size and 2 * size,
        "agreement": 1.0, "measured": {"host": {**times, **facts}}, **changes,
    }  # fmt: skip


CELLS = [
    cell("plain", 0.0, "float32", 0.98, 4000, 100.0),
    cell("plain", 0.0, "int8", 0.975, 1000, 40.0),
    cell("plain", 0.0, "int8", 0.985, 1010, 40.0, aware=True),
    cell("pruning", 0.9, "float32", 0.97, 500, 101.0),
    cell("pruning", 0.9, "int8", 0.965, 150, 41.0),
    cell("channels", 0.9, "float32", 0.90, 450, 20.0),
    cell("channels", 0.9, "int8", 0.80, 140, 300.0),
    cell("narrow", 0.9, "int8", 0.70, 160, 15.0),
]


def results(cells=CELLS, targets=("host",), **changes):
    found = {
        "network": "net", "data": "bars", "task": "classification", "metric": "accuracy",
        "scaling": "pixels in 0..1", "drawn": [], "epochs": 8, "epochs_in_training": 2,
        "arguments": {"targets": list(targets)}, "cells": cells, **changes,
    }  # fmt: skip
    return {**found, "answers": answers(found)}


def said(cells=CELLS, **changes):
    return {one["question"]: one["answer"] for one in results(cells, **changes)["answers"]}


# Answers


def test_the_slow_ones_are_those_above_the_slowest_runs_of_the_control():
    words = said()["Which models are slow?"]
    assert "channels 90 % int8 is the slowest of 8 files (0.3 ms)" in words
    assert "narrow 90 % int8 the fastest (0.015 ms)" in words
    assert words.endswith("(the 95th percentile, 0.2 ms): channels 90 % int8.")


def test_why_slow_is_told_by_ops_modes_and_shapes():
    words = said()["Why are they slow?"]
    # The median of 0.4, 41 / 101 and 15.
    assert "median over all networks: int8 0.406." in words
    assert "xnnpack runs 3 of 4 ops" in words
    assert "CONV_2D takes 60%" in words
    assert "in times of the control: pruning 90 % 1.01, channels 90 % 0.20." in words


def test_the_best_method_is_the_smallest_that_holds_the_score():
    words = said()["Which method is best?"]
    assert words.startswith("Of 8 files, 5 are not clearly below the control in accuracy.")
    assert "The smallest download of them is pruning 90 % int8 (150 bytes): 26.7 times" in words
    assert "1.50 points below" in words
    assert words.endswith("The fastest of them on host is plain int8 (0.04 ms).")


def test_a_control_that_its_own_interval_leaves_out_counts():
    alone = cell("plain", 0.0, "float32", 1.0, 4000, 100.0)
    alone["score"]["high"] = 0.99
    assert "Of 1 files, 1 are" in said([alone])["Which method is best?"]


def test_the_trade_off_is_the_front():
    words = said()["What is the trade-off?"]
    assert words.startswith("5 files are beaten by no other in both accuracy and bytes")
    assert (
        "channels 90 % int8 (140 bytes), 0.8000; pruning 90 % float32 (500 bytes), 0.9700" in words
    )
    assert words.endswith("plain int8 in training (1,010 bytes), 0.9850.")
    only = said([CELLS[1], CELLS[0]])["What is the trade-off?"]
    assert only.startswith("2 files")
    assert said([CELLS[2], CELLS[0]])["What is the trade-off?"].startswith("There is none: plain")


def test_pruning_and_rounding_are_taken_apart():
    words = said()["Why does it work, or not?"]
    assert "pruning 90 % loses 1.00 points, channels 90 % loses 8.00 points" in words
    # The mean of 0.5, 0.5 and 10.
    assert words.endswith("Rounding on top, on average: int8 loses 3.67 points.")


def test_narrow_networks_are_held_against_all_others():
    question = "Can a better network be defined?"
    words = said()[question]
    assert "and bytes: 0 of 1. Here it pays to start" in words
    good = [*CELLS[:-1], cell("narrow", 0.9, "int8", 0.9, 139, 15.0)]
    assert said(good)[question].endswith("bytes: 1 of 1, narrow 90 % int8.")
    assert "the method narrow is one" in said(CELLS[:-1])[question]


def test_how_to_combine_compares_each_alone_with_both():
    words = said()["How should methods be combined?"]
    assert "by a method alone: pruning 90 % float32 (500 bytes)" in words
    assert "by quantization alone: plain int8 (1,000 bytes)" in words
    assert "by both: pruning 90 % int8 (150 bytes)." in words
    assert "in 1 of 1 pairs; the mean difference is +1.00 points." in words


@pytest.mark.parametrize(("us", "enough"), [(16_000.0, "enough"), (17_000.0, "not enough")])
def test_fast_enough_is_30_a_second_in_slow_runs(us, enough):
    words = said([cell("plain", 0.0, "float32", 0.98, 4000, us)])["Is it fast enough?"]
    assert re.search(rf"ms: {enough} for 30 rows a second\.", words)
    assert words.endswith("of a phone the cells say nothing.")


def test_without_times_or_control_the_answers_say_so():
    untimed = [cell("pruning", 0.9, "int8", 0.9, 100, None)]
    words = said(untimed, targets=("arm64",))
    assert words["Which models are slow?"] == "No target gave a time, so the cells cannot say."
    assert words["Why are they slow?"] == words["Which models are slow?"]
    for question in ("Which method is best?", "How should methods be combined?"):
        assert words[question].startswith("The control, not pruned and in float32, has no")
    assert words["Is it fast enough?"].startswith("There are no times of arm64.")
    assert words["Why does it work, or not?"].startswith("The grid has no float32 files")


def test_without_scores_there_are_no_answers():
    words = said([cell("plain", 0.0, "float32", None, None, None)])
    assert set(words.values()) == {"No cell has a score."}


# The page


def test_the_page_has_every_cell_and_every_answer():
    failed = cell("tucker", 0.8, "int8", None, None, None, state="failed", why="no <rank>")
    waits = {"host": {"state": "open", "why": "the cable is out"}}
    waiting = cell("ternary", None, "int8", 0.9, 90, None, state="open", measured=waits)
    found = results([*CELLS, failed, {**waiting, "why": "host: the cable is out"}])
    page = report.grid_page(found)
    for one in found["cells"]:
        assert len(re.findall(rf"<td>{one['name']}( \*)?</td>", page)) == 1
    for one in found["answers"]:
        assert one["question"] in page
    assert "8 of 10 cells are done, 1 failed and 1 are open." in page
    assert "tucker 80 % int8, failed: no &lt;rank&gt;" in page
    assert "ternary int8, open: host: the cable is out" in page
    assert page.count("data:image/png") == 2
    assert "<li>host: LiteRT 2.3, name: host, processor: Abacus 7</li>" in page
    assert page.count("not measured") >= 10


def test_a_page_without_times_has_no_plot_of_them():
    page = report.grid_page(results([cell("pruning", 0.9, "int8", 0.9, 100, None)]))
    assert page.count("data:image/png") == 1
    assert "no target gave a time" in page


def test_the_heat_map_has_a_square_for_each_cell():
    found = results()
    columns, rows = heat_map(found)
    assert columns == ["float32", "int8", "int8 in training"]
    assert list(rows) == ["plain", "pruning 90 %", "channels 90 %", "narrow 90 %"]
    held = [square.cell for squares in rows.values() for square in squares if square.cell]
    assert len(held) == len(CELLS)
    best, worst = rows["plain"][2], rows["narrow 90 %"][1]
    assert (best.strength, worst.strength) == (0.6, 0)
    assert rows["channels 90 %"][0].strength == pytest.approx(0.6 * 0.15, abs=1e-3)
    assert rows["pruning 90 %"][1].us == 41
    assert rows["narrow 90 %"][0].cell is None


def test_the_results_page_has_the_table_and_the_answers():
    root = Path(__file__).parents[1]
    results = json.loads((root / "benchmarks" / "results" / "grid.json").read_text())
    assert benchmark_of_grid.table(results) in (root / "docs" / "results.md").read_text()

"""Scores, rows, threads and sizes of a benchmark: on how many rows, how sure, how compared."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_benchmark_report import Page, result, timed
from test_cli import call

from fr_bench import benchmark, data
from fr_bench._intervals import wilson
from fr_bench.benchmark import run
from fr_bench.benchmark.result import Metric
from fr_bench.report import benchmark_page, compare_page, measured
from fr_keras_cli import _benchmarks

MODEL = Path(__file__).parent.parent / "tflite_models" / "digits_fr_int8.tflite"
FAST = ("--runs", 1, "--warmup", 0, "--threads", 1, "--delegate", "xnnpack")


@given(st.integers(1, 100_000), st.data())
def test_the_interval_is_that_of_scipy(rows, drawn):
    right = drawn.draw(st.integers(0, rows))
    expected = stats.binomtest(right, rows).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(right / rows, rows), expected, atol=1e-12)


def test_all_test_rows_are_scored_and_the_terminal_says_so(tmp_path):
    out = tmp_path / "r.json"
    done = call("benchmark", MODEL, "--data", "digits", *FAST, "--out", out)
    assert done.exit_code == 0, done.output
    (one,) = benchmark.load(out)
    test = data.load("digits").test
    assert one.metric.rows == len(test.y) == 360
    assert one.metric.interval == wilson(one.metric.value, 360)
    low, high = one.metric.interval
    line = f"accuracy {one.metric.value:.2%}, 95 % interval {low:.2%} to {high:.2%}, n = 360 rows"
    assert f"{line} (host, xnnpack)" in done.stdout
    assert "compared, evenly spaced" not in done.stderr
    assert f"{one.device_bytes:,} bytes on the device, {one.download_bytes:,} bytes" in done.stdout


@pytest.mark.parametrize("rows", [None, 7])
def test_fewer_rows_come_from_everywhere(rows, monkeypatch):
    """Folders are sorted by class, so the first rows would be of one class."""
    count = 5000
    x = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, 8, 8, 1))
    monkeypatch.setattr(_benchmarks, "_NUMBERS", 64 * 100)
    said = []
    monkeypatch.setattr(_benchmarks.click, "echo", lambda text, err: said.append(text))
    found = _benchmarks._rows(data.Split(x, np.arange(count)), rows)
    assert len(found) == (rows or 100)
    assert (found[0], found[-1]) == (0, count - 1)
    if rows is None:
        (text,) = said
        assert "100 of the 5,000 test rows" in text
        assert "--rows" in text
    else:
        assert not said


@pytest.mark.parametrize("target", ["arm64", "gpu", "android"])
def test_slow_targets_take_fewer_rows_and_say_so(target, monkeypatch):
    seen = []

    def measure(subject, *_, **__):
        seen.append(subject)
        return iter(())

    monkeypatch.setattr(run, "_measured", lambda _, subject, *__: measure(subject))
    monkeypatch.setattr(run.android, "measure", lambda subjects, *_, **__: measure(*subjects))
    x, y = np.random.default_rng(0).random((200, 28, 28, 1)), np.arange(200)
    for settings, rows in ((run.Settings(), 64), (run.Settings(slow_rows=None), 200)):
        subject = benchmark.subject(MODEL, x, y)
        seen.clear()
        list(run.on(target, [subject], settings, run.Phone()))
        slow = seen[0]
        seen.clear()
        list(run.on("host", [subject], settings))
        host = seen[0]
        assert len(slow.inputs[0]) == len(slow.y) == rows
        assert (slow.y[0], slow.y[-1]) == (0, 199)
        assert any("64 of the 200 rows" in note for note in slow.notes) == (rows == 64)
        assert len(host.inputs[0]) == 200


def test_files_are_compared_at_equal_threads():
    runs = [
        result("a.tflite", threads=1, times=timed(900.0)),
        result("a.tflite", threads=4, times=timed(300.0)),
        result("b.tflite", threads=1, times=timed(500.0)),
        result("c.tflite", threads=4, times=timed(100.0)),
        result("b.tflite", target="android", threads=2, times=timed(70.0)),
        result("c.tflite", target="android", threads=2, times=timed(60.0)),
        result("c.tflite", target="android", threads=8, times=timed(20.0)),
    ]
    a, b, c = measured.by_file([*runs, result("b.tflite", threads=4, times=timed(450.0))])
    host, phone = "host (Some CPU)", "Phone 9"
    assert [one.fastest[host].threads for one in (a, b, c)] == [4, 4, 4]
    assert [one.fastest[phone].threads for one in (b, c)] == [2, 2]
    assert c.fastest[phone].us == 60
    # As many files with one number as with another: the larger one.
    a, b, c = measured.by_file(runs)
    assert a.fastest[host].us == 300
    assert host not in b.fastest


def test_the_score_on_the_most_rows_is_shown_with_its_interval():
    few, many = Metric("accuracy", 1.0, 16, wilson(1.0, 16)), Metric("accuracy", 0.9, 100)
    sure = Metric("accuracy", 0.9, 100, wilson(0.9, 100))
    for shown, cell in ((many, "90.00 % n = 100"), (sure, "90.00 % 82.56 to 94.48 %, n = 100")):
        runs = [result(metric=few), result(metric=shown, delegate="none"), result(metric=few)]
        page = Page(benchmark_page(runs))
        assert page.cells("1", "a.tflite")[2] == cell
        (file,) = measured.by_file(runs)
        assert file.accuracy == 0.9


def test_an_archive_has_other_bytes_in_a_download_than_on_the_device():
    page = Page(benchmark_page([result("m.fr", bytes=900, download_bytes=900, device_bytes=5000)]))
    assert page.cells("1", "m.fr")[2:4] == ["900", "5,000"]


def compared() -> dict:
    form = {
        "form": "FR, int8",
        "kept": 776,
        "device_bytes": 9000,
        "download_bytes": 8000,
        "method": "fr",
        "score": {"value": 0.9, "low": 0.85, "high": 0.95, "n": 9},
        "latency_us": 50.0,
        "argmax_agreement": 1.0,
        "mode": "int8",
    }
    training = {"title": "FR", "kept": 776, "rows": 10, "seconds": 1.0}
    regime = {"epochs": 1}
    return {
        "model": "lenet5",
        "data": "digits",
        "regime": regime,
        "task": "classification",
        "scaling": "pixels in 0..1",
        "metric": "accuracy",
        "conclusion": ["Take FR, int8."],
        "left_out": [],
        "forms": [form],
        "trainings": [training],
    }


@pytest.mark.parametrize(
    "make",
    [lambda: benchmark_page([result(metric=Metric("accuracy", 0.9, 9))]),
     lambda: compare_page(compared())],
    ids=["benchmark", "compare"],
)  # fmt: skip
def test_on_a_narrow_screen_each_value_has_its_own_line_with_its_name(make):
    text = make()
    narrow = text.partition("@media (max-width: 600px) {")[2]
    assert re.search(
        r"\.cards td \{ display: flex; flex-wrap: wrap;[^}]* white-space: normal;", narrow
    )
    assert ".cards td[data-label]::before { content: attr(data-label);" in narrow
    (table,) = re.findall('<div class="table cards"><table>(.*?)</table>', text, re.DOTALL)
    head, *rows = table.split("<tr>")[1:]
    heads = re.findall("<th>(.*?)</th>", head)
    assert rows
    assert "accuracy" in heads
    for row in rows:
        labels = re.findall('<td(?: data-label="(.*?)")?>', row)
        assert [label or name for label, name in zip(labels, heads, strict=True)] == heads
        assert labels.count("") == (2 if heads[0] == "" else 1)  # its number and its name

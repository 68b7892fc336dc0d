"""The command `benchmark`."""

import json
from pathlib import Path

import pytest
from test_cli import call

from fr_bench import benchmark
from fr_bench.benchmark import process

MODEL = Path(__file__).parent.parent / "tflite_models" / "digits_fr_int8.tflite"


def test_results_are_shown_and_kept(tmp_path):
    out = tmp_path / "r.json"
    done = call(
        *("benchmark", MODEL, "--data", "digits", "--rows", 3, "--runs", 2, "--out", out),
        *("--threads", 1, "--threads", 2, "--delegate", "xnnpack"),
    )
    assert done.exit_code == 0, done.output
    kept = benchmark.load(out)
    assert [(one.delegate, one.threads, one.times.runs) for one in kept] == [
        ("xnnpack", 1, 2),
        ("xnnpack", 2, 2),
    ]
    assert kept[0].metric.rows == 3
    assert "digits_fr_int8.tflite, 50,416 bytes" in done.stdout
    assert "10/11" in done.stdout
    again = ("benchmark", MODEL, "--runs", 1, "--warmup", 0, "--out", out)
    assert call(*again).exit_code == 2  # it is there
    done = call(*again, "--force", "--json")
    assert json.loads(done.stdout) == json.loads(out.read_text())


def test_a_failed_run_is_kept_and_told(tmp_path, monkeypatch):
    """The reference runs, and then nothing does."""
    works = process.work

    def only_the_reference(*arguments, runs=0, **options):
        if runs:
            raise process.WorkerError("it was killed by SIGSEGV: an op")
        return works(*arguments, **options)

    monkeypatch.setattr(process, "work", only_the_reference)
    done = call("benchmark", MODEL, "--threads", 1, "--out", tmp_path / "r.json")
    assert done.exit_code == 1
    assert "host, none: it was killed by SIGSEGV: an op" in done.stdout
    assert [one.status for one in benchmark.load(tmp_path / "r.json")] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument"),
        (("none.tflite",), "does not exist"),
        ((MODEL, "--on", "moon"), "--on"),
        ((MODEL, "--delegate", "warp"), "--delegate"),
        ((MODEL, "--threads", 0), "--threads"),
        ((MODEL, "--data", "nothing"), "data must be one of"),
    ],
)
def test_wrong_usage(arguments, message, tmp_path):
    done = call("benchmark", *arguments, "--out", tmp_path / "r.json")
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())


def test_a_delegate_that_the_target_has_not(tmp_path):
    done = call("benchmark", MODEL, "--delegate", "nnapi", "--out", tmp_path / "r.json")
    assert done.exit_code == 1
    assert "`delegates` must be some of none, xnnpack" in done.output

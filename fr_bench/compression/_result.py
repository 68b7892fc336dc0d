"""The end of a run: the table, the verdict, and the files in the user's folder."""

import dataclasses
import json
import shutil
import statistics
from pathlib import Path

from rich import box
from rich.table import Table

from fr_archive.files import replacing, write_bytes
from fr_bench import report
from fr_bench._scoring import score_of
from fr_bench._words import about_drawn
from fr_bench.compression._files import ARCHIVE, MODEL, TFLITE
from fr_bench.compression._plan import STEPS, best_narrow, front
from fr_bench.compression._rounds import OVER, Rounds
from fr_bench.compression._trial import Trial
from fr_bench.compression._verdict import Row, verdict
from fr_bench.preflight import Preflight
from fr_bench.training import answers
from fr_keras import tflite

_PASSES, _RUNS = 3, 20


@dataclasses.dataclass(frozen=True)
class Compression:
    """What `compress` found.

    Attributes:
        chosen: The row of the chosen file.
        rows: The final table.
        verdict: The verdict, in sentences.
        results: The contents of `result.json`.
        folder: The folder with the files.
    """

    chosen: Row
    rows: list[Row]
    verdict: list[str]
    results: dict
    folder: Path

    def __rich__(self) -> Table:
        """The table of the files, for a terminal of 80 characters."""
        drawn = Table(box=box.SIMPLE, padding=0, pad_edge=False, show_edge=False)
        metric = self.results["metric"]
        for name in ("file", metric, "download", "on device", "latency", "on validation"):
            drawn.add_column(name, justify="left" if name == "file" else "right", no_wrap=True)
        for row in self.rows:
            trial = row.trial
            drawn.add_row(
                f"[bold]{trial.name}[/bold]" if row is self.chosen else trial.name,
                f"{row.test.value:.4f}",
                f"{trial.download_bytes:,}",
                f"{trial.device_bytes:,}",
                f"{row.latency_us:,.0f} us",
                f"{trial.score.value:.4f}",
            )
        return drawn


def finish(
    rounds: Rounds,
    found: Preflight,
    whole: list[Trial],
    trials: list[Trial],
    left_out: list[str],
    out: Path,
    command: str,
    plan: dict,
) -> Compression:
    """Chooses by the validation rows, scores the table on the test rows, and writes the files."""
    everything = [*whole, *trials]
    chosen = rounds.goal.best([one for one in everything if one.name != "plain float32"])
    shown = _shown(everything, chosen)
    rounds.say(f"Scoring {len(shown)} files on {len(found.data.test):,} test rows")
    rows = _rows(rounds, shown, everything)
    test = found.data.test
    reference = found.task.score(test.y, answers(rounds.model, test), test.sample_weight)
    row = next(row for row in rows if row.trial is chosen)
    words = verdict(rows, row, rounds.goal, reference)
    if not trials:
        words += left_out
    if any(OVER in one for one in left_out):
        words.append("The time was over before all trials had run: more --minutes may find more.")
    if found.data.drawn:
        words.append(about_drawn(found.data.drawn))
    results = {
        "network": rounds.model.name,
        "command": command,
        "arguments": plan,
        "task": str(found.task),
        "metric": found.task.metric_name,
        "scaling": found.scaling,
        "validation": dataclasses.asdict(found.score),
        "test": dataclasses.asdict(reference),
        "chance": found.chance,
        "drawn": list(found.data.drawn),
        "regime": dataclasses.asdict(rounds.regime),
        "chosen": chosen.name,
        "verdict": words,
        "rows": [one.to_dict() for one in rows],
        "trials": [one.to_dict() for one in everything],
        "left_out": left_out,
    }
    _write(rounds, row, results, out)
    return Compression(row, rows, words, results, out)


def _shown(trials: list[Trial], chosen: Trial) -> list[Trial]:
    """The table: the whole network, the trials of the last round, the front, and the choice."""
    kept = [chosen, best_narrow(trials), *front(trials)]
    return [
        one
        for one in trials
        if one.method == "plain" or one.rung == len(STEPS) - 1 or any(one is k for k in kept)
    ]


def _rows(rounds: Rounds, shown: list[Trial], trials: list[Trial]) -> list[Row]:
    contents = {
        one.name: (rounds.folder.of(one.name, one.rung) / TFLITE).read_bytes() for one in shown
    }
    runners = {name: tflite.Runner(content) for name, content in contents.items()}
    # In turn, so that a busy moment of the machine does not fall on one file.
    passes = [{n: one.latency(_RUNS) for n, one in runners.items()} for _ in range(_PASSES)]
    best = front(trials)
    return [
        Row(
            one,
            score_of(contents[one.name], rounds.data, rounds.data.test),
            round(statistics.median(times[one.name] for times in passes) * 1e6, 1),
            one in best,
        )
        for one in sorted(shown, key=lambda one: -one.download_bytes)
    ]


def _write(rounds: Rounds, chosen: Row, results: dict, out: Path) -> None:
    source = rounds.folder.of(chosen.trial.name, chosen.trial.rung)
    for name in (MODEL, TFLITE, ARCHIVE):
        if (source / name).exists():
            with replacing(out / name, overwrite=True) as path:
                shutil.copyfile(source / name, path)
        else:
            (out / name).unlink(missing_ok=True)  # an archive of an earlier choice
    texts = {
        "result.json": json.dumps(results, indent=1),
        "report.html": report.compress_page(results),
        "MODEL_CARD.md": report.model_card(results, rounds.data.labels),
    }
    if len(rounds.model.inputs) == len(rounds.model.outputs) == 1:
        texts["Model.kt"] = report.android_example((out / TFLITE).read_bytes())
    for name, text in texts.items():
        write_bytes(out / name, text.encode(), overwrite=True)

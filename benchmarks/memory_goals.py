"""Measures files of whole networks that `convert` fits to goals of memory.

    python benchmarks/memory_goals.py --work folder

MobileNetV2, plain, and ResNet50 with 2 % of its coefficients, both with random weights, because
accuracy is not the subject. A goal is the part of the expected activations that must be saved. Each
file runs in processes of its own, and the files of a network run in turn, so that a ratio compares
runs from the same time. Memory is the peak resident set of the process minus that of one that only
imports LiteRT. All files are made first; those that are in the folder are not made again.
"""

import argparse
import itertools
import json
from pathlib import Path

from unet_forms import THREADS, images, measured, seconds

NETWORKS = ("MobileNetV2", "ResNet50")
SIZES = (224, 448)
GOALS = (None, 0.1, 0.25, 0.5)
MODES = ("float32", "int8")
RUNS = 10


def network(name: str, size: int):
    import keras

    from fr_keras import regularize

    keras.utils.set_random_seed(0)
    plain = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    return plain if name == "MobileNetV2" else regularize(plain, start=0.02)


def convert_all(name: str, size: int, mode: str, folder: Path) -> dict:
    """How `convert` describes the files in the folder, by the goals that can be kept."""
    from fr_keras import tflite

    known = folder / "facts.json"
    if known.exists():
        return json.loads(known.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    model, x = network(name, size), images(2, 0, (size, size, 3))
    facts, whole = {}, None
    for goal in GOALS:
        memory = None if goal is None else int(whole.total - goal * whole.activations)
        options = {"quantize": mode, "calibration": x, "memory": memory, "overwrite": True}
        try:
            done = tflite.convert(model, folder / f"{goal}.tflite", **options)
        except ValueError as error:
            print(f"{name} {size} {mode} {goal}: {error}", flush=True)
            continue
        expected = tflite.inspect(done.content).memory
        whole = whole or expected
        facts[str(goal)] = {
            "goal": goal,
            "bytes": len(done.content),
            "expected_peak_megabytes": round(expected.total / 1e6, 1),
            "computed_twice": round(done.computed_twice, 4),
        }
    known.write_text(json.dumps(facts))
    return facts


def rows(name: str, size: int, mode: str, work: Path, rounds: int) -> list[dict]:
    folder = work / f"{name}_{size}_{mode}"
    facts = convert_all(name, size, mode, folder)
    found = measured(
        {goal: folder / f"{goal}.tflite" for goal in facts}, dict.fromkeys(facts, RUNS), rounds
    )
    whole = seconds(found[str(None)])
    result = []
    for goal, parts in found.items():
        result.append(
            {
                "network": name,
                "size": size,
                "mode": mode,
                **facts[goal],
                "seconds": seconds(parts),
                "times_faster_than_whole": round(whole / seconds(parts), 2),
                "peak_megabytes": sorted(one["peak_megabytes"] for one in parts)[len(parts) // 2],
            }
        )
        print(result[-1], flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="where the files are kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    from environment import environment

    cases = list(itertools.product(NETWORKS, arguments.sizes, MODES))
    for name, size, mode in cases:
        convert_all(name, size, mode, arguments.work / f"{name}_{size}_{mode}")
    print("All files are made; now they run.", flush=True)
    files = [row for case in cases for row in rows(*case, arguments.work, arguments.rounds)]
    result = {
        "benchmark": "memory_goals",
        "environment": environment(),
        "threads": THREADS,
        "rows": files,
    }
    (arguments.out / "memory_goals.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

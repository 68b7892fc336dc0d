"""The eight questions of the survey, answered from the cells of a grid."""

import statistics
from collections.abc import Callable

from fr_bench._fronts import on_front
from fr_bench._words import against
from fr_bench.grid._plan import AFTER, DURING, NEVER, PLAIN
from fr_bench.grid._reading import Measured, bytes_of, score_of, time_of

_NAMED = 3  # files in a sentence
_FRAME_US = 1e6 / 30
_NO_TIMES = "No target gave a time, so the cells cannot say."
_NO_CONTROL = "The control, not pruned and in float32, has no score, so the cells cannot say."


def answers(results: dict) -> list[dict]:
    """Returns the questions with their answers.

    Args:
        results: The contents of `grid.json`, but for the answers.
    """
    found = Measured(results)
    return [
        {"question": question, "answer": answer(found) if found.cells else "No cell has a score."}
        for question, answer in _QUESTIONS.items()
    ]


def _slow(found: Measured) -> str:
    words = []
    for target in found.timed:
        times = found.times(target)
        slowest, fastest = max(times, key=times.get), min(times, key=times.get)
        words.append(
            f"On {target}, {slowest} is the slowest of {len(times)} files ({_ms(times[slowest])}) "
            f"and {fastest} the fastest ({_ms(times[fastest])})."
        )
        whole = found.control and found.control["measured"].get(target, {}).get("p95_us")
        if whole:
            slower = sorted((n for n in times if times[n] > whole), key=times.get, reverse=True)
            words.append(
                f"Slower than the control in its slowest runs (the 95th percentile, {_ms(whole)}): "
                f"{_names(slower)}."
            )
    return " ".join(words) or _NO_TIMES


def _why_slow(found: Measured) -> str:
    if not found.timed:
        return _NO_TIMES
    target, words = found.timed[0], []
    ratios = _ratios(found, target)
    if ratios:
        slowest_first = sorted(ratios, key=ratios.get, reverse=True)
        said = ", ".join(f"{mode} {ratios[mode]:.3g}" for mode in slowest_first)
        words.append(
            f"On {target}, the time of a file divided by that of the float32 file of the same "
            f"network, median over all networks: {said}."
        )
    times = found.times(target)
    slowest = next(one for one in found.cells if one["name"] == max(times, key=times.get))
    held = slowest["measured"][target]
    if held.get("ops"):
        taken, total = held["ops"]
        words.append(f"Of the slowest file {held['delegate']} runs {taken} of {total} ops.")
    if held.get("longest_op"):
        op, share = held["longest_op"]
        words.append(f"{op} takes {share:.0%} of the time of its ops.")
    shares = _shares(found, target)
    if shares:
        words.append(f"Float32 files at the highest rates, in times of the control: {shares}.")
    if any(one["method"] == "pruning" for one in found.cells):
        words.append(
            "The method pruning sets single weights to zero, and leaves the shapes as they are."
        )
    return " ".join(words) or "The targets told neither ops nor times of other modes."


def _ratios(found: Measured, target: str) -> dict[str, float]:
    """Mode -> how much longer its files take than those in float32."""
    ratios: dict[str, list[float]] = {}
    for one in found.cells:
        whole = found.beside(one, "float32", NEVER)
        pair = time_of(one, target), whole and time_of(whole, target)
        if one["quantized"] == AFTER and all(pair):
            ratios.setdefault(one["mode"], []).append(pair[0] / pair[1])
    return {mode: statistics.median(held) for mode, held in ratios.items()}


def _shares(found: Measured, target: str) -> str:
    """The times of the smallest float32 files of each method, in that of the control."""
    whole = found.control and time_of(found.control, target)
    pairs = [(_method_of(one), time_of(one, target)) for one in _extremes(found)]
    return ", ".join(f"{name} {us / whole:.2f}" for name, us in pairs if whole and us)


def _method(found: Measured) -> str:
    if found.control is None:
        return _NO_CONTROL
    small = min(found.good, key=bytes_of)
    words = [
        f"Of {len(found.cells)} files, {len(found.good)} are not clearly below the control in "
        f"{found.metric}. The smallest download of them is {_file(small)}: "
        f"{_against(small, found.control)}."
    ]
    for target in found.timed:
        held = [one for one in found.good if time_of(one, target)]
        if held:
            fast = min(held, key=lambda one: time_of(one, target))
            words.append(
                f"The fastest of them on {target} is {fast['name']} ({_ms(time_of(fast, target))})."
            )
    return " ".join(words)


def _trade_off(found: Measured) -> str:
    points = [(bytes_of(one), score_of(one)) for one in found.cells]
    best = [one for one, held in zip(found.cells, on_front(points), strict=True) if held]
    best.sort(key=bytes_of)
    if len(best) == 1:
        return f"There is none: {_file(best[0])} is both the smallest and the best."
    middle = best[len(best) // 2]
    shown = list({one["name"]: one for one in (best[0], middle, best[-1])}.values())
    return (
        f"{len(best)} files are beaten by no other in both {found.metric} and bytes. From the "
        f"smallest to the best: {'; '.join(f'{_file(one)}, {score_of(one):.4f}' for one in shown)}."
    )


def _why_works(found: Measured) -> str:
    words = []
    if found.control is not None:
        for one in _extremes(found):
            lost = score_of(found.control) - score_of(one)
            words.append(f"{_method_of(one)} {_lost(lost)}")
    modes: dict[str, list[float]] = {}
    for one in found.cells:
        whole = found.beside(one, "float32", NEVER)
        if whole is not None and one["quantized"] == AFTER:
            modes.setdefault(one["mode"], []).append(score_of(whole) - score_of(one))
    rounding = [f"{mode} {_lost(statistics.mean(lost))}" for mode, lost in modes.items()]
    said = f"Before rounding, against the control: {', '.join(words)}." if words else ""
    if rounding:
        said += f" Rounding on top, on average: {', '.join(rounding)}."
    return said.strip() or "The grid has no float32 files to take pruning and rounding apart."


def _extremes(found: Measured) -> list[dict]:
    """For each method its float32 file at the highest rate."""
    held = {}
    for one in found.cells:
        if one["mode"] == "float32" and one["method"] != PLAIN:
            last = held.get(one["method"], one)
            held[one["method"]] = max(one, last, key=lambda cell: cell["rate"] or 0)
    return list(held.values())


def _better_network(found: Measured) -> str:
    narrow = [one for one in found.cells if one["method"] == "narrow"]
    if not narrow:
        return (
            "The grid has no network that was made small before it was trained: the method narrow "
            "is one."
        )
    others = [one for one in found.cells if one["method"] != "narrow"]
    if not others:
        return "The grid has nothing beside narrow networks."
    unbeaten = [one for one in narrow if not _beaten(one, others)]
    words = (
        "Files of narrow networks, trained from new weights, that no other method beats in both "
        f"{found.metric} and bytes: {len(unbeaten)} of {len(narrow)}"
    )
    if not unbeaten:
        return f"{words}. Here it pays to start from the trained network."
    return f"{words}, {_names([one['name'] for one in unbeaten])}."


def _beaten(one: dict, others: list[dict]) -> bool:
    mine = bytes_of(one), score_of(one)
    return any(not on_front([mine, (bytes_of(other), score_of(other))])[0] for other in others)


def _combine(found: Measured) -> str:
    if found.control is None:
        return _NO_CONTROL
    kinds: dict[str, Callable[[dict], bool]] = {
        "a method alone": lambda one: one["method"] != PLAIN and one["quantized"] == NEVER,
        "quantization alone": lambda one: one["method"] == PLAIN and one["quantized"] != NEVER,
        "both": lambda one: one["method"] != PLAIN and one["quantized"] != NEVER,
    }
    words = []
    for kind, fits in kinds.items():
        held = [one for one in found.good if fits(one)]
        best = _file(min(held, key=bytes_of)) if held else "none"
        words.append(f"{kind}: {best}")
    said = f"The smallest files that are not clearly below the control, by {'; by '.join(words)}."
    return said + _during(found)


def _during(found: Measured) -> str:
    pairs = [
        (score_of(one), score_of(after))
        for one in found.cells
        if one["quantized"] == DURING
        for after in [found.beside(one, one["mode"], AFTER)]
        if after is not None
    ]
    if not pairs:
        return ""
    gain = statistics.mean(a - b for a, b in pairs)
    better = sum(a > b for a, b in pairs)
    return (
        f" int8 in training scores higher than int8 after it in {better} of {len(pairs)} pairs; "
        f"the mean difference is {100 * gain:+.2f} points."
    )


def _fast_enough(found: Measured) -> str:
    words, good = [], found.good if found.control else found.cells
    for target in found.timed:
        held = [one for one in good if time_of(one, target)]
        if not held:
            continue
        fast = min(held, key=lambda one: time_of(one, target))
        median, p95 = time_of(fast, target), fast["measured"][target]["p95_us"]
        late = "" if p95 is None else f", at the 95th percentile {_ms(p95)}"
        enough = "enough" if (p95 or median) <= _FRAME_US else "not enough"
        words.append(
            f"On {target}, {fast['name']} takes {_ms(median)}{late}: {enough} for 30 rows a second."
        )
    untimed = [name for name in found.targets if name not in found.timed]
    if untimed:
        words.append(f"There are no times of {', '.join(untimed)}.")
    if "android" not in found.timed:
        words.append("No phone was measured, so of a phone the cells say nothing.")
    return " ".join(words)


_QUESTIONS: dict[str, Callable[[Measured], str]] = {
    "Which models are slow?": _slow,
    "Why are they slow?": _why_slow,
    "Which method is best?": _method,
    "What is the trade-off?": _trade_off,
    "Why does it work, or not?": _why_works,
    "Can a better network be defined?": _better_network,
    "How should methods be combined?": _combine,
    "Is it fast enough?": _fast_enough,
}


def _file(one: dict) -> str:
    return f"{one['name']} ({bytes_of(one):,} bytes)"


def _method_of(one: dict) -> str:
    return one["name"].removesuffix(f" {one['mode']}")


def _against(one: dict, other: dict) -> str:
    return against(bytes_of(one), score_of(one), bytes_of(other), score_of(other))


def _lost(lost: float) -> str:
    return f"{'loses' if lost >= 0 else 'gains'} {100 * abs(lost):.2f} points"


def _ms(us: float) -> str:
    return f"{us / 1000:.3g} ms"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}" or "none"

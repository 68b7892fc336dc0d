"""Checks of what the user chose, before the work begins."""

from collections.abc import Iterable, Sequence

from fr_bench.candidates._candidate import Candidate
from fr_bench.candidates._table import all_candidates
from fr_keras.tflite import MODES


def check_choice(argument: str, chosen: Sequence[str], choices: Sequence[str]) -> None:
    """Raises a ValueError unless one or more different names of `choices` are chosen."""
    if not chosen or len({*chosen}) < len(chosen) or not {*chosen} <= {*choices}:
        raise ValueError(
            f"`{argument}` must hold one or more different names out of {choices}. "
            f"Received: {chosen}"
        )


def chosen_candidates(methods: Iterable[str], modes: Sequence[str]) -> dict[str, Candidate]:
    """Returns candidates by name, each of which can run and has one of the modes.

    Raises:
        ImportError: If the extra of one is not installed.
        ValueError: If `modes` is not a choice of quantization modes, or has none for one of them.
    """
    check_choice("modes", modes, MODES)
    known = all_candidates()
    candidates = {name: known[name] for name in methods}
    for name, one in candidates.items():
        one.check_installed()
        if not {*modes} & {*one.modes}:
            raise ValueError(
                f"`modes` must have at least one that makes sense for '{name}', out of "
                f"{tuple(one.modes)}. Received: {modes}"
            )
    return candidates

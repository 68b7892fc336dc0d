"""Compares functions on a noisy machine: they run in turn, after a warm-up, and medians count."""

import time
from collections.abc import Callable

import numpy as np


def median_seconds(functions: dict[str, Callable], rounds: int, warmup: int = 2) -> dict:
    """Runs the functions in turn and returns name -> median seconds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(warmup + rounds):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            if turn >= warmup:
                times[name].append(time.perf_counter() - begin)
    return {name: float(np.median(values)) for name, values in times.items()}

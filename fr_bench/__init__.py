"""The experiment harness: data, training regimes, candidates of a comparison, targets, reports.

It uses `fr_keras` like any other program; nothing in `fr_keras` imports it.
"""

import typing

if typing.TYPE_CHECKING:
    from fr_bench.candidates import Candidate, Need, Trained, register_candidate
    from fr_bench.compression import compress

__all__ = ["Candidate", "Need", "Trained", "compress", "register_candidate"]


def __getattr__(name: str):
    # Imported on demand: the code that runs files on devices imports this package without Keras.
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from fr_bench import candidates, compression

    return getattr(compression if name == "compress" else candidates, name)

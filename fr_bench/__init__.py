"""The experiment harness: data, training regimes, candidates of a comparison, targets, reports.

It uses `fr_keras` as anybody would; nothing in `fr_keras` imports it.
"""

import typing

if typing.TYPE_CHECKING:
    from fr_bench.candidates import Candidate, Need, Trained, register_candidate

__all__ = ["Candidate", "Need", "Trained", "register_candidate"]


def __getattr__(name: str):
    # When asked for: what runs a file on a device imports this package, and needs no Keras.
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from fr_bench import candidates

    return getattr(candidates, name)

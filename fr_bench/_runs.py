"""Whether the run in a folder goes on, or another request is refused."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from fr_bench.preflight import Preflight


def goes_on(
    out: Path, stored: Path, plan: dict, written: Sequence[str], overwrite: bool = False
) -> bool:
    """Returns whether a folder holds a run of this plan, which goes on.

    Args:
        out: The folder, which need not be there.
        stored: Where the plan of a run in the folder is.
        plan: What the work in the folder depends on, as plain data.
        written: The names of the files that a run writes into the folder.
        overwrite: Whether the work of another plan may be replaced.

    Raises:
        FileExistsError: If the folder holds a run of another plan, or files with the names of
            those that a run writes and that are of no run.
    """
    before = json.loads(stored.read_text()) if stored.exists() else None
    changed = [] if before is None else [k for k in plan if plan[k] != before.get(k)]
    if changed and not overwrite:
        raise FileExistsError(
            f"`out` holds the work of another run, with another {', '.join(changed)}: choose "
            "another folder, or replace it (`overwrite=True`, on the command line `--force`). "
            f"Received: {out}"
        )
    others = [name for name in written if (out / name).exists()]
    if before is None and others and not overwrite:
        raise FileExistsError(
            f"`out` holds {', '.join(others)}, which no earlier run wrote: choose another "
            "folder, or replace them (`overwrite=True`, on the command line `--force`). "
            f"Received: {out}"
        )
    return before is not None and not changed


def fingerprint(model: keras.Model) -> str:
    """Tells whether a network is the same, weights included."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def about(model: keras.Model, found: Preflight) -> dict:
    """What a run depends on, beside its arguments."""
    return {
        "network": fingerprint(model),
        "data": found.data.name,
        "rows": len(found.data.train),
        "task": str(found.task),
        "metric": found.task.metric_name,
        "normalization": list(found.data.normalization),
    }

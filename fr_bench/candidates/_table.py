"""The candidates by name: those of this package, and those that other packages register."""

import functools
import importlib.metadata
import re
import warnings

from fr_bench.candidates._candidate import Candidate, Need
from fr_keras.tflite import MODES

_GROUP = "fr_keras.candidates"
_candidates: dict[str, Candidate] = {}


def register_candidate(name: str, candidate: Candidate) -> None:
    """Makes a candidate known to `fr_bench.compare`.

    The command line knows the candidates of installed packages. A package names its candidates in
    the entry point group `fr_keras.candidates`, as `name = "package.module:CANDIDATE"`; they are
    registered when candidates are first listed or used.

    Args:
        name: The name in tables and files: letters, digits and `.+-`, beginning with a letter or
            a digit.
        candidate: An instance of a subclass of `Candidate`.

    Raises:
        ValueError: If the name breaks this rule, or another candidate has it, in capitals or not;
            if `candidate` is not a `Candidate`, or its description, needs or modes are invalid.

    Example:

    >>> from fr_bench.candidates import Candidate, Trained, all_candidates
    >>> class Untouched(Candidate):
    ...     description = "The network as it came."
    ...     needs, has_budget = (), False
    ...
    ...     def train(self, model, data, regime, progress, title):
    ...         return Trained(model, model.count_params(), history={}, seconds=0, rows=0)
    >>> register_candidate("untouched", Untouched())
    >>> list(all_candidates())[-1]
    'untouched'
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", name):
        raise ValueError(
            "`name` must consist of letters, digits and `.+-` and begin with a letter or a digit, "
            f"because it becomes part of file names. Received: {name!r}"
        )
    _check(name, candidate)
    taken = {one.lower(): one for one in _candidates}.get(name.lower())
    if taken is None:
        _candidates[name] = candidate
    elif _candidates[taken] is not candidate:
        raise ValueError(
            f"`name` must be free, but '{taken}' is taken by {type(_candidates[taken]).__name__}: "
            f"choose another name. Received: {name!r}"
        )


def all_candidates() -> dict[str, Candidate]:
    """Returns every candidate by name, including those of installed packages.

    A candidate that cannot be loaded is left out, with a warning that names it and its package.
    """
    _load_installed()
    return dict(_candidates)


def _check(name: str, candidate: Candidate) -> None:
    if not isinstance(candidate, Candidate):
        raise ValueError(
            "`candidate` must be an instance of a subclass of fr_bench.Candidate. "
            f"Received: {candidate!r}"
        )
    description = getattr(candidate, "description", None)
    if not isinstance(description, str) or len(description.splitlines()) != 1:
        raise ValueError(
            f"`candidate.description` of '{name}' must be one line of text. "
            f"Received: {description!r}"
        )
    for attribute, least, choices in (("needs", 0, tuple(Need)), ("modes", 1, MODES)):
        found = getattr(candidate, attribute)
        if isinstance(found, str) or len(found) < least or not {*found} <= {*choices}:
            raise ValueError(
                f"`candidate.{attribute}` of '{name}' must be a collection of some of "
                f"{tuple(map(str, choices))}. Received: {found!r}"
            )


@functools.cache  # once per process
def _load_installed() -> None:
    for entry in importlib.metadata.entry_points(group=_GROUP):
        try:
            register_candidate(entry.name, entry.load())
        except (Exception, SystemExit) as error:  # another package may raise anything
            warnings.warn(
                f"the candidate '{entry.name}' of the package '{entry.dist.name}' is left out: "
                f"{type(error).__name__}: {error}",
                stacklevel=2,
            )

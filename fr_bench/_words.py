"""Sentences about files, for the verdict of `compress` and the conclusion of `compare`."""


def against(size: int, score: float, other_size: int, other_score: float) -> str:
    """How a file stands beside another one: bytes of the download, and score on the test rows."""
    ratio = other_size / size
    words = f"{ratio:.1f} times smaller" if ratio >= 1 else f"{1 / ratio:.1f} times larger"
    drop = other_score - score
    points = f"{100 * abs(drop):.2f} points {'below' if drop > 0 else 'above'}"
    return f"{words} as a download and {points} on the test rows"


def about_drawn(splits: tuple[str, ...]) -> str:
    """What scores are worth if rows were drawn from those for training."""
    return (
        f"The {' and '.join(splits)} rows were drawn at random from the training rows. If the "
        "network was trained on these, its own score is too good, and the others look worse than "
        "they are: give --validation rows that it has not seen."
    )


def conclusion(forms: list[dict], metric: str) -> str:
    """Says which file of a comparison is the smallest download that answers well.

    A file answers well if the score of the best plain file, or of the best file where there is no
    plain one, is not above the interval of its own score. Only files that run on a device count.

    Args:
        forms: The rows of the comparison.
        metric: The name of the score.
    """
    rows = [form for form in forms if form["device_bytes"] is not None]
    plain = [form for form in rows if form["method"] == "plain"]
    best = max(plain or rows, key=lambda form: (_score(form), -_size(form)))
    held = [form for form in rows if form["score"]["high"] >= _score(best)]
    chosen = min(held, key=_size)
    if len(rows) == 1:
        return f"There is one file, and nothing to compare it with: {_named(chosen, metric)}."
    words = (
        f"The smallest download whose {metric} is not clearly below that of {best['form']} is "
        f"{_named(chosen, metric)}"
    )
    words += "." if chosen is best else f": {_beside(chosen, best)}."
    if chosen["method"] == "plain":
        return words + _of_smaller(rows, chosen)
    return words + _of_narrow(rows, held, chosen, metric)


def _of_smaller(rows: list[dict], chosen: dict) -> str:
    """That no method paid, and which one came nearest."""
    smaller = [form for form in rows if _size(form) < _size(chosen) and form["method"] != "plain"]
    if not smaller:
        return " No method gave a smaller file."
    nearest = max(smaller, key=_score)
    return f" No method paid here; {nearest['form']} is nearest, {_beside(nearest, chosen)}."


def _of_narrow(rows: list[dict], held: list[dict], chosen: dict, metric: str) -> str:
    """Whether a plain network with fewer channels does as well."""
    if chosen["method"] == "narrow":
        return " It is a plain network with fewer channels: no method beat it."
    narrow = [form for form in rows if form["method"] == "narrow"]
    if not narrow:
        return ""
    as_good = [form for form in narrow if form in held]
    if as_good:
        return f" Of narrow networks it takes {_named(min(as_good, key=_size), metric)}."
    return f" No narrow network reaches it; the best is {_named(max(narrow, key=_score), metric)}."


def _score(form: dict) -> float:
    return form["score"]["value"]


def _size(form: dict) -> int:
    return form["download_bytes"]


def _named(form: dict, metric: str) -> str:
    return f"{form['form']}, {_size(form):,} bytes with {metric} {_score(form):.4f}"


def _beside(form: dict, other: dict) -> str:
    return against(_size(form), _score(form), _size(other), _score(other))

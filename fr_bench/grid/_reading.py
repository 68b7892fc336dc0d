"""What the answers read in the cells of a grid."""


class Measured:
    """The cells of a grid that have a score.

    Args:
        results: The contents of `grid.json`.
    """

    def __init__(self, results: dict):
        self.cells = [one for one in results["cells"] if one["score"] is not None]
        self.control = next((one for one in self.cells if one["control"]), None)
        self.metric = results["metric"]
        self.targets = results["arguments"]["targets"]
        self.timed = [name for name in self.targets if self.times(name)]

    def times(self, target: str) -> dict[str, float]:
        """Name of a cell -> the median time on a target, in microseconds."""
        found = {one["name"]: time_of(one, target) for one in self.cells}
        return {name: us for name, us in found.items() if us is not None}

    @property
    def good(self) -> list[dict]:
        """The cells whose score is not clearly below that of the control."""
        least = self.control["score"]["value"]
        # A bootstrap's interval may leave out the score itself.
        return [one for one in self.cells if max(one["score"]["high"], score_of(one)) >= least]

    def beside(self, one: dict, mode: str, quantized: str) -> dict | None:
        """The cell that differs from another in nothing but its quantization."""
        wanted = {"method": one["method"], "rate": one["rate"], "mode": mode}
        wanted["quantized"] = quantized
        fits = (c for c in self.cells if all(c[key] == wanted[key] for key in wanted))
        return next(fits, None)


def time_of(cell: dict, target: str) -> float | None:
    """The median time of a cell on a target, in microseconds."""
    return cell["measured"].get(target, {}).get("median_us")


def bytes_of(one: dict) -> int:
    """The bytes of the download."""
    return one["download_bytes"]


def score_of(one: dict) -> float:
    """The score on the test rows."""
    return one["score"]["value"]

"""Which cells a grid has: how a network is pruned, and how and when it is quantized."""

import dataclasses
from collections.abc import Iterator, Mapping

from fr_bench.candidates import Candidate
from fr_bench.forms import Form

#: The method of rate 0: the network keeps its size.
PLAIN = "plain"
#: When a file is quantized: after the training, or in it, with the rounding of its int8 file.
AFTER, DURING = "after", "during"
#: What a file that is not quantized has in place of these.
NEVER = "never"
#: Ways of pruning, of which the first that is in the grid has the models of the survey.
PRUNING = ("pruning", "channels")
_SURVEYED_RATES = (0.9, 0.8, 0.7)
_SURVEYED_WHOLE = ("float32", "float16", "int8")


@dataclasses.dataclass(frozen=True)
class Training:
    """A network that one or more cells share.

    Attributes:
        method: The name of the candidate; `PLAIN` at rate 0.
        rate: The share of the kernel weights that are removed; `None` if the method has no budget.
        aware: Whether it trains on with the rounding of its int8 file.
    """

    method: str
    rate: float | None
    aware: bool = False

    @property
    def keep(self) -> float | None:
        """The share that is kept, as in `fr_bench.training.Regime`; `None` if that is no choice."""
        return round(1 - self.rate, 9) if self.rate else None

    @property
    def base(self) -> "Training":
        """The one without the rounding, from which it goes on; itself if it has none."""
        return dataclasses.replace(self, aware=False)

    @property
    def name(self) -> str:
        """The name in tables."""
        rate = f" {100 * self.rate:g} %" if self.rate else ""
        return f"{self.method}{rate}{', int8 in training' if self.aware else ''}"

    def form(self, mode: str = "") -> Form:
        """The file of the network in a mode. No candidate has a name with `_`."""
        return Form(f"{self.method}_aware" if self.aware else self.method, mode, self.keep)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One file of the grid.

    Attributes:
        training: Its network.
        mode: Its quantization, out of `fr_keras.tflite.MODES`.
        survey: Whether it is one of the 18 models of the survey: three rates in four modes, these
            in float32, two that are only quantized, and the control.
    """

    training: Training
    mode: str
    survey: bool = False

    @property
    def when(self) -> str:
        """`AFTER`, `DURING` or `NEVER`."""
        if self.mode == "float32":
            return NEVER
        return DURING if self.training.aware else AFTER

    @property
    def name(self) -> str:
        """The name in tables."""
        return (
            f"{self.training.base.name} {self.mode}{' in training' if self.training.aware else ''}"
        )

    @property
    def is_control(self) -> bool:
        """Whether it is the network as it is, in float32."""
        return self.training.rate == 0 and self.mode == "float32"

    def to_dict(self) -> dict:
        """The cell as plain data."""
        return {
            "name": self.name, "method": self.training.method, "rate": self.training.rate,
            "mode": self.mode, "quantized": self.when, "survey": self.survey,
            "control": self.is_control,
        }  # fmt: skip


def cells(
    rates: tuple[float, ...], modes: tuple[str, ...], candidates: Mapping[str, Candidate]
) -> list[Cell]:
    """The cells of a grid; those of one network stand together, and the whole network is first.

    Args:
        rates: The shares of the kernel weights that are removed. At 0 there is only the network
            itself.
        modes: Quantization modes; a candidate has those of them that make sense for its files.
        candidates: The methods by name, with `PLAIN`. One without a budget has no rates.
    """
    surveyed = next((name for name in PRUNING if name in candidates), None)
    found = []
    for training in _trainings(rates, candidates):
        one = candidates[training.method]
        mine = [mode for mode in modes if mode in one.modes]
        found += [Cell(training, mode, _in_survey(training, mode, surveyed)) for mode in mine]
        if "int8" in mine and one.holders(training.keep or 1.0) is not None:
            found.append(Cell(dataclasses.replace(training, aware=True), "int8"))
    return found


def _trainings(rates: tuple[float, ...], candidates: Mapping[str, Candidate]) -> Iterator[Training]:
    if 0 in rates:
        yield Training(PLAIN, 0.0)
    for name, one in candidates.items():
        if name != PLAIN:
            for rate in [rate for rate in rates if rate] if one.has_budget else [None]:
                yield Training(name, rate)


def _in_survey(training: Training, mode: str, surveyed: str | None) -> bool:
    if training.rate == 0:
        return mode in _SURVEYED_WHOLE
    return training.method == surveyed and training.rate in _SURVEYED_RATES

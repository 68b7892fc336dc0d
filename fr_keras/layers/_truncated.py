"""The part of an FR layer that controls how many of its coefficients are used."""

import functools
import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from fr_keras import zigzag
from fr_keras._backends import backend

# Fields of the one state vector of a layer; see `Truncated.truncation`. The boundary has two, for
# JAX has no whole numbers of 64 bits: the weighted index sum and the tie rule's part of the key.
STATE = ("kept", "sum", "tie", "start", "target", "epochs")
_SHOWN = ("kept", "boundary", "start", "target", "epochs")
# TensorFlow computes with whole numbers of 32 bits on the host alone.
WHOLE = "int32" if keras.backend.backend() == "jax" else "int64"
# A kernel of at most so many numbers is small: numpy makes its mask in less than a millisecond.
_SMALL = 1 << 20


class Truncated:
    """The mask of a layer's coefficients, held in a state that is saved with the layer's weights.

    A mixin for a layer that has `coefficients`, their `spectrum_shape` and `axis_weights`.
    """

    def _add_state(self, kept: int) -> None:
        """Adds the weight that holds the state, with that many coefficients kept."""
        self._check_fits()
        last = zigzag.boundary(self.spectrum_shape, kept, self.axis_weights)
        state = dict.fromkeys(STATE, 0) | self._divided(last) | {"kept": kept, "start": kept}
        self._truncation = self.add_weight(
            name="truncation",
            shape=(len(STATE),),
            dtype=WHOLE,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                self._in_order(state), dtype
            ),
            trainable=False,
        )

    def _check_fits(self) -> None:
        """Checks that the parts of zigzag keys fit into the whole numbers of the backend."""
        weights = zigzag.integer_weights(self.spectrum_shape, self.axis_weights)[0]
        largest = sum(w * n for w, n in zip(weights, self.spectrum_shape, strict=True))
        if max(largest, math.prod(self.spectrum_shape)) > np.iinfo(WHOLE).max:
            raise ValueError(
                f"`axis_weights` and the kernel of layer '{self.name}' must give index sums that "
                f"fit into {WHOLE} under this backend: round the weights, or take a smaller "
                f"kernel. Received: axis_weights={self.axis_weights}, a spectrum of shape "
                f"{self.spectrum_shape}"
            )

    def held(self) -> list:
        """Returns the weights that are in the place of the kernel."""
        return [self.coefficients, self._truncation]

    def _mask(self):
        """The zigzag mask as a comparison, so that a new `kept` needs no new graph.

        For each index of the other axes it counts the first indices on the last axis that are
        used. So the one tensor of the kernel's size is the mask itself, and no compiler can fold it
        away.
        """
        *others, length = self.coefficients.shape
        *sums, weight = zigzag.integer_weights(self.spectrum_shape, self.axis_weights)[0]
        *ties, tie = zigzag.tie_strides(self.spectrum_shape)
        state, numeric, cast = self._state_for_mask()
        last_sum, last_tie = (state[STATE.index(name)] for name in ("sum", "tie"))
        left = numeric.subtract(last_sum, _ranges(others, sums))
        whole = numeric.floor_divide(left, weight)
        # In a tie, the index that ends the sum exactly is used only up to the boundary's tie.
        clipped = numeric.clip(whole, -1, length)
        used = numeric.add(clipped * tie, _ranges(others, ties)) <= last_tie
        ends = numeric.where(left == whole * weight, cast(used, WHOLE), 1)
        return numeric.less(np.arange(length, dtype=WHOLE), clipped + ends)

    def _state_for_mask(self):
        """The state, and what computes with it: numpy for a small kernel outside of graphs, which
        takes a small part of the time that so many eager operations take."""
        if math.prod(self.coefficients.shape) <= _SMALL:
            values = backend.values(self._truncation.value)
            if values is not None:
                return values, np, np.ndarray.astype
        return self._truncation, ops, ops.cast

    def _masked(self, coefficients):
        return ops.where(self._mask(), ops.convert_to_tensor(coefficients), 0.0)

    @property
    def truncation(self) -> dict[str, int]:
        """The state of this layer's truncation, which is saved with the layer's weights.

        It has `kept`, the zigzag key `boundary` of the last coefficient in use, and the counts
        `start` and `target` (0: none set) and the completed `epochs` of the running schedule.
        """
        values = map(int, ops.convert_to_numpy(self._truncation))
        kept, last_sum, last_tie, *plan = values
        boundary = last_sum * math.prod(self.spectrum_shape) + last_tie
        return dict(zip(_SHOWN, (kept, boundary, *plan), strict=True))

    def plan(self, start: int, target: int, epochs: int = 0) -> None:
        """Stores the start and target counts of a schedule and its completed epochs."""
        self._assign_state(start=start, target=target, epochs=epochs)

    @property
    def kept(self) -> int:
        """Number of coefficients that are not cut."""
        return self.truncation["kept"]

    @property
    def corner(self) -> tuple[int, ...]:
        """Bounding box of the kept coefficients, one length per axis of `coefficients`."""
        return zigzag.corner(self.spectrum_shape, self.kept, self.axis_weights)

    def kept_coefficients(self) -> np.ndarray:
        """Returns the coefficients as a float32 array, with zeros for those not in use."""
        return ops.convert_to_numpy(self._masked(self.coefficients))

    def truncate(self, kept: int) -> None:
        """Keeps the first `kept` coefficients in zigzag order and sets the others to zero.

        Args:
            kept: From 1 to the number kept now; coefficients that were cut are lost.

        Raises:
            ValueError: If `kept` is outside that range.
        """
        now = self.kept
        if kept > now:
            raise ValueError(
                f"`kept` must not grow: layer '{self.name}' has {now} coefficients left. "
                f"Received: kept={kept}. Start again from the plain model to keep more."
            )
        boundary = zigzag.boundary(self.spectrum_shape, kept, self.axis_weights)
        self._assign_state(kept=int(kept), boundary=boundary)
        self.coefficients.assign(self._masked(self.coefficients))

    def limit(self, count: int | None = None) -> None:
        """Makes the layer use only the first `count` kept coefficients for now; none is lost.

        Args:
            count: From 1 to `kept`; `None` ends the limit, and so does `truncate`.

        Raises:
            ValueError: If `count` is outside that range.
        """
        state = self.truncation
        if count is None:
            count = state["kept"]
        elif count > state["kept"]:
            raise ValueError(
                f"`count` must be at most {state['kept']}, the number that layer '{self.name}' "
                "keeps. "
                f"Received: count={count}"
            )
        boundary = _boundary(self.spectrum_shape, count, self.axis_weights)
        self._store_state({**state, "boundary": boundary})

    def _assign_state(self, **fields: int) -> None:
        self._store_state({**self.truncation, **fields})

    def _store_state(self, state: dict[str, int]) -> None:
        self._truncation.assign(self._in_order({**state, **self._divided(state["boundary"])}))

    def _divided(self, boundary: int) -> dict[str, int]:
        """A zigzag key as the weighted index sum and the part of the tie rule."""
        last_sum, last_tie = divmod(boundary, math.prod(self.spectrum_shape))
        return {"sum": last_sum, "tie": last_tie}

    def _in_order(self, state: dict[str, int]) -> np.ndarray:
        return np.array([state[name] for name in STATE], WHOLE)

    def _load_state(self, store) -> dict:
        """Returns what a file has of this layer, with the state as it is held here."""
        place = [id(one) for one in self.variables].index(id(self._truncation))
        found = dict(store)
        state = np.asarray(found.get(str(place)))
        if state.shape == (len(_SHOWN),):  # with one number for the boundary, as in 2026
            kept, _, *plan = state
            found[str(place)] = self._in_order(dict(zip(STATE, (kept, 0, 0, *plan), strict=True)))
        return found


def _ranges(lengths: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """The sums of index times stride over some axes, with one axis more at the end."""
    total = np.zeros((1,) * (len(lengths) + 1), WHOLE)
    for axis, (n, stride) in enumerate(zip(lengths, strides, strict=True)):
        line = np.arange(n, dtype=WHOLE) * stride
        total = total + line.reshape((-1,) + (1,) * (len(lengths) - axis))
    return total


@functools.lru_cache(maxsize=1 << 14)
def _boundary(shape: tuple[int, ...], kept: int, weights: tuple[float, ...] | None) -> int:
    """`zigzag.boundary`, remembered: with sampled capacities the same counts come again."""
    return zigzag.boundary(shape, kept, weights)

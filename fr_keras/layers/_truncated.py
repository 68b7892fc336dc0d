"""The part of an FR layer that controls how many of its coefficients are used."""

import functools

import numpy as np
from keras import ops

from fr_keras import zigzag

# Fields of the one state vector of a layer; see `Truncated.truncation`.
STATE = ("kept", "boundary", "start", "target", "epochs")


class Truncated:
    """The mask of a layer's coefficients, held in a state that is saved with the layer's weights.

    A mixin for a layer that has `coefficients`, their `spectrum_shape` and `axis_weights`.
    """

    def _add_state(self, kept: int) -> None:
        """Adds the weight that holds the state, with that many coefficients kept."""
        last = zigzag.boundary(self.spectrum_shape, kept, self.axis_weights)
        self._truncation = self.add_weight(
            name="truncation",
            shape=(len(STATE),),
            dtype="int64",
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                [kept, last, kept, 0, 0], dtype
            ),
            trainable=False,
        )

    def held(self) -> list:
        """Returns the weights that are in the place of the kernel."""
        return [self.coefficients, self._truncation]

    def _mask(self):
        """The zigzag mask as a comparison of keys, so that a new `kept` needs no new graph.

        The last axis stands on the other side of the comparison, with the boundary: the one
        tensor of the kernel's size is the mask itself, and no compiler can fold it away.
        """
        *shape, length = self.coefficients.shape
        *strides, stride = zigzag.key_strides(self.spectrum_shape, self.axis_weights)
        key = np.zeros((1,) * (len(shape) + 1), np.int64)
        for axis, (n, step) in enumerate(zip(shape, strides, strict=True)):
            key = key + (np.arange(n) * step).reshape((-1,) + (1,) * (len(shape) - axis))
        boundary = self._truncation[STATE.index("boundary")]
        return key <= boundary - np.arange(length) * stride

    def _masked(self, coefficients):
        return ops.where(self._mask(), coefficients, 0.0)

    @property
    def truncation(self) -> dict[str, int]:
        """The state of this layer's truncation, which is saved with the layer's weights.

        It has `kept`, the zigzag key `boundary` of the last coefficient in use, and the counts
        `start` and `target` (0: none set) and the completed `epochs` of the running schedule.
        """
        values = ops.convert_to_numpy(self._truncation)
        return {name: int(value) for name, value in zip(STATE, values, strict=True)}

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
        self._truncation.assign(np.array([state[name] for name in STATE], np.int64))


@functools.lru_cache(maxsize=1 << 14)
def _boundary(shape: tuple[int, ...], kept: int, weights: tuple[float, ...] | None) -> int:
    """`zigzag.boundary`, remembered: with sampled capacities the same counts come again."""
    return zigzag.boundary(shape, kept, weights)

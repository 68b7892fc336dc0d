"""How the energy of kernels is spread over bands of frequency, for TensorBoard."""

import os
import time
import types
from collections.abc import Sequence

import keras
import numpy as np

from fr_keras.layers import FrequencyKernel
from fr_keras.models.walk import named_kernels

# A histogram in TensorBoard is made of samples: this many stand for the energy of a kernel.
_SAMPLES = 1000


def band_energy(
    coefficients: np.ndarray, bands: int = 12, spectrum_shape: Sequence[int] | None = None
) -> np.ndarray:
    """Returns the energy of DCT coefficients in bands of equal width.

    The range from 0 to the largest index sum is divided into equal bands, so band 0 holds the
    lowest frequencies of all axes.

    Args:
        coefficients: Array of any rank.
        bands: Number of bands.
        spectrum_shape: Shape of the whole spectrum, if `coefficients` is a corner of it.

    Returns:
        Float64 array of shape `(bands,)`; its sum is the energy of the coefficients.

    Raises:
        ValueError: If `bands` is below 1.

    Example:

    >>> band_energy(np.eye(3), bands=3).tolist()
    [1.0, 1.0, 1.0]
    """
    if bands < 1:
        raise ValueError(f"`bands` must be at least 1. Received: bands={bands}")
    index_sum = sum(np.indices(coefficients.shape, sparse=True))
    largest = sum(n - 1 for n in spectrum_shape or coefficients.shape)
    band = index_sum * bands // (largest + 1)
    energy = np.square(np.asarray(coefficients, np.float64))
    return np.bincount(np.broadcast_to(band, energy.shape).ravel(), energy.ravel(), bands)


def _tensorboard() -> types.SimpleNamespace:
    """What TensorBoard has to write event files, without TensorFlow."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise ImportError(
            "`BandEnergy` needs the extra `tensorboard`: pip install 'fr-keras[tensorboard]' "
            f"({error})"
        ) from error
    return types.SimpleNamespace(
        Event=Event, EventFileWriter=EventFileWriter, histogram_pb=histogram_pb, scalar_pb=scalar_pb
    )


class BandEnergy(keras.callbacks.Callback):
    """Writes the energy of each FR kernel to TensorBoard after every epoch.

    For each kernel it writes a histogram `band_energy/<layer>` of the energy over the bands (0 is
    the lowest frequency, 1 the highest), and the scalars `kept/<layer>` and `energy/<layer>`.
    Where layers of nested models share a name, `<layer>` is the path to the layer.

    Args:
        log_dir: Folder of the event files, such as that of `keras.callbacks.TensorBoard`.
        bands: Number of bands.

    Raises:
        ImportError: If the extra `tensorboard` is not installed.
        ValueError: If `bands` is below 1.

    Example: `model.fit(..., callbacks=[TailTruncation(0.01, 20), BandEnergy("logs")])`
    """

    def __init__(self, log_dir: str | os.PathLike, bands: int = 12):
        super().__init__()
        _tensorboard()
        if bands < 1:
            raise ValueError(f"`bands` must be at least 1. Received: bands={bands}")
        self.log_dir = log_dir
        self.bands = bands

    def on_train_begin(self, logs=None):
        self._writer = _tensorboard().EventFileWriter(os.fspath(self.log_dir))

    def on_epoch_end(self, epoch, logs=None):
        made = _tensorboard()
        for name, layer in named_kernels(self.model).items():
            energy = self._energy(layer)
            for summary in (
                made.histogram_pb(f"band_energy/{name}", self._samples(energy)),
                made.scalar_pb(f"energy/{name}", energy.sum()),
                made.scalar_pb(f"kept/{name}", layer.kept),
            ):
                event = made.Event(wall_time=time.time(), step=epoch, summary=summary)
                self._writer.add_event(event)
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _energy(self, layer: FrequencyKernel) -> np.ndarray:
        return band_energy(layer.kept_coefficients(), self.bands, layer.spectrum_shape)

    def _samples(self, energy: np.ndarray) -> np.ndarray:
        """Positions of the bands in [0, 1], each repeated in proportion to its energy."""
        counts = np.round(_SAMPLES * energy / max(energy.sum(), np.finfo(float).tiny)).astype(int)
        return np.repeat((np.arange(self.bands) + 0.5) / self.bands, counts)

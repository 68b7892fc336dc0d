"""`save_nested`: writes networks of several capacities to one file."""

import dataclasses
import io
import itertools
import math
import numbers
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import fr_archive
from fr_archive import Archive, Config, lz, skeletons
from fr_archive import nested as files
from fr_archive.archive import with_skeleton
from fr_archive.files import check_target, write_bytes
from fr_keras.archive._description import Prepared
from fr_keras.archive._load import loaded
from fr_keras.archive._nested_packing import NestedPacking, nested_packing
from fr_keras.archive._nested_weights import Numbers, numbers_of
from fr_keras.archive._precision import ERROR, KERNEL_ERROR, STEP, Precision
from fr_keras.archive._reference import find
from fr_keras.archive._save import check_skeleton, make_skeleton, packed, prepared
from fr_keras.methods import Nested
from fr_keras.models.vectors import weights
from fr_keras.models.walk import frequency_layers

_FIGURES = ("accuracy", "memory", "latency_ms")


def save_nested(
    nested: Nested,
    path: str | os.PathLike,
    error: Precision = ERROR,
    kernel_error: Precision = KERNEL_ERROR,
    skeleton: Mapping | None = None,
    profiles: Sequence[Mapping] | None = None,
    overwrite: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> NestedPacking:
    """Writes networks of several capacities, as `methods.nest` makes them, to one `.fr` file.

    The smallest network comes first, and of each further one what it adds, so the first bytes
    of a download are already a network. `load_archive` and `fr_archive.decode` take the one that
    `capacity` asks for, and `fr_archive.stream` gives each as soon as it is there. Each number is
    rounded once: what a network has from a smaller one comes back the same in both.

    With `nest(recover="full")` each network has all weights for itself, and one file is hardly
    smaller than several.

    Args:
        nested: The networks, without FR layers.
        path: The file to write, `.fr` by convention.
        error: As for `save_archive`; it bounds the error of what is new in each network.
        kernel_error: As for `save_archive`, likewise.
        skeleton: As for `save_archive`: arguments of `tflite.convert` for the int8 files that the
            archive can then produce, one for each network. `calibration`, representative data that
            can be read several times, must be among them.
        profiles: A dict for each network with what is known of it, as plain JSON data. The
            scheduler reads `accuracy`, `memory` in bytes and `latency_ms`, which
            `fr_bench.benchmark.capacity_profile` gives. All have the same keys. `share`, which is
            added, is that of `nested`, rounded down to four digits.
        overwrite: Whether to replace an existing file.
        progress: As for `save_archive`.

    Returns:
        The bytes of each network in the file, and in a file of its own.

    Raises:
        ValueError: As `save_archive` does; if a network has FR layers; if networks coincide, or
            one does not contain the one before; if a profile lacks a figure.
        OSError: If the file exists or cannot be written.

    Example:

    >>> import tempfile
    >>> import keras, numpy as np
    >>> from fr_keras import load_archive, methods
    >>> from fr_keras.archive import save_nested
    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, "relu", name="hidden")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = np.random.default_rng(0).random((8, 4)), np.arange(8) % 2
    >>> def tune(model, callbacks):
    ...     model.fit(x, y, verbose=0, callbacks=callbacks)
    >>> nested = methods.nest(model, (x, y), tune, keep=0.25, steps=2, capacities=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     packing = save_nested(nested, f"{folder}/model.fr")
    ...     half = load_archive(f"{folder}/model.fr", capacity=0.5)
    >>> [one.share for one in packing.capacities], half.get_layer("hidden").units
    ([0.25, 0.5, 1], 4)
    """
    check_target(path, overwrite)
    told = progress or (lambda text, share: None)
    given = _checked(nested, skeleton)
    described = _profiles(nested, profiles)
    archives, alone, held = [], [], None
    for number, (one, profile) in enumerate(zip(given, described, strict=True)):
        told(f"rounding network {number + 1} of {len(given)}", number / len(given))
        held = numbers_of(nested, number, one.model, held, error, kernel_error)
        archive = _archive(one, held, profile)
        found = loaded(archive)  # nothing is written before each network has been loaded
        made = None
        if skeleton is not None:
            before = archives[-1].skeleton if archives else None
            made = make_skeleton(archive, found, dict(skeleton), before)
        archives.append(dataclasses.replace(archive, skeleton=made))
        alone.append(_bytes_alone(one, error, kernel_error, made))
    data = files.encode_nested(archives)
    report = nested_packing(len(data), files.frames(io.BytesIO(data)), alone)
    write_bytes(path, data, overwrite)
    return report


def _checked(nested: Nested, skeleton: Mapping | None) -> list[Prepared]:
    """The networks as an archive holds them."""
    if not isinstance(nested, Nested):
        raise ValueError(
            "`nested` must be the result of `methods.nest`; `save_archive` takes a single model. "
            f"Received: {type(nested).__name__}"
        )
    check_skeleton(skeleton, None)
    if skeleton is not None and isinstance(skeleton["calibration"], Iterator):
        raise ValueError(
            "`skeleton` must have a `calibration` that can be read again for each network, such as "
            f"an array or a list of batches. Received: {type(skeleton['calibration']).__name__}"
        )
    given = [prepared(one) for one in nested.models]
    with_spectra = [one.model.name for one in given if frequency_layers(one.model)]
    if with_spectra:
        raise ValueError(
            "`nested` must have no FR layers: `bake` the model before `nest`. "
            f"Received: FR layers in '{with_spectra[0]}'"
        )
    return given


def _profiles(nested: Nested, profiles: Sequence[Mapping] | None) -> list[dict]:
    """The profile of each network, with its share."""
    shares = [_rounded_down(one) for one in nested.shares[:-1]] + [1]
    if any(after <= before for before, after in itertools.pairwise(shares)):
        raise ValueError(
            "`nested` must have networks whose costs differ; take fewer `capacities`. Received: "
            f"networks that coincide, with shares of {shares}"
        )
    given = [{}] * len(shares) if profiles is None else list(profiles)
    if len(given) != len(shares) or not all(isinstance(one, Mapping) for one in given):
        raise ValueError(
            f"`profiles` must be a dict for each of the {len(shares)} networks. "
            f"Received: {profiles!r:.200}"
        )
    names = {name for one in given for name in one}
    if "share" in names:
        raise ValueError(
            "`profiles` must not have a 'share': it follows from `nested`. Received: "
            f"{profiles!r:.200}"
        )
    for number, one in enumerate(given):
        lacking = sorted(str(name) for name in names if one.get(name) is None)
        if lacking:
            raise ValueError(
                "`profiles` must have the same figures for each network: measure it, or leave them "
                f"out of all. Received: profile {number} without {', '.join(lacking)}"
            )
        for name in _FIGURES:
            _check_figure(number, name, one.get(name, 0))
    return [{**one, "share": share} for one, share in zip(given, shares, strict=True)]


def _rounded_down(share: float) -> float:
    """A share with four digits, not above it: so whoever asks for the share gets the network."""
    unit = 10.0 ** (math.floor(math.log10(share)) - 3)
    return float(f"{math.floor(share / unit) * unit:.4g}")


def _check_figure(number: int, name: str, figure: object) -> None:
    is_number = isinstance(figure, numbers.Real) and not isinstance(figure, bool)
    if not is_number or not math.isfinite(figure):
        raise ValueError(
            f"`profiles` must have finite numbers as `{name}`. Received: {figure!r} in profile "
            f"{number}"
        )


def _archive(given: Prepared, held: Numbers, profile: dict) -> Archive:
    parts = [(one.in_space, part) for one in weights(given.model) for part in held[one.name].parts]
    return Archive(
        find(given.model, given.description) or Config(given.description),
        (),
        [part for in_space, part in parts if not in_space],
        kernels=[part for in_space, part in parts if in_space],
        profile=profile,
    )


def _bytes_alone(
    given: Prepared,
    error: Precision,
    kernel_error: Precision,
    skeleton: bytes | skeletons.Following | None,
) -> int:
    """The bytes of a file of this network alone."""
    data = fr_archive.encode(packed(given, STEP, error, kernel_error, None)[0])
    if skeleton is not None:
        data = with_skeleton(data, lz.compress(skeletons.text_of(skeleton)))
    return len(data)

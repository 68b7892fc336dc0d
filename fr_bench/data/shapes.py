"""`shapes`: a segmentation set that is drawn in code and is the same on every machine."""

import numpy as np

_ROWS, _TEST_ROWS, _SIZE = 600, 120, 64


def draw_shapes(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns drawings of discs, boxes and rings on noise, with their masks.

    Args:
        seed: The seed of the drawings.

    Returns:
        `x_train, y_train, x_test, y_test`: images, uint8 `(rows, 64, 64, 1)`, and masks of 0 and
        1, int64 `(rows, 64, 64)`.
    """
    rng = np.random.default_rng(seed)
    drawings = [_drawing(rng) for _ in range(_ROWS)]
    x = np.stack([image for image, _ in drawings])[..., None]
    y = np.stack([mask for _, mask in drawings])
    return x[_TEST_ROWS:], y[_TEST_ROWS:], x[:_TEST_ROWS], y[:_TEST_ROWS]


def _drawing(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    down, across = np.mgrid[:_SIZE, :_SIZE]
    # A slope of brightness under the noise: brightness must not separate shape from background.
    slope = rng.uniform(-60, 60, 2) @ np.stack([down.ravel(), across.ravel()]) / _SIZE
    image = 110 + slope.reshape(_SIZE, _SIZE)
    mask = np.zeros((_SIZE, _SIZE), np.int64)
    for _ in range(rng.integers(1, 4)):
        shape = _shape(rng, down, across)
        image[shape] += rng.choice([-1, 1]) * rng.uniform(40, 80)
        mask[shape] = 1
    image += rng.normal(0, 15, image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8), mask


def _shape(rng: np.random.Generator, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    middle, radius = rng.uniform(12, _SIZE - 12, 2), rng.uniform(5, 13)
    kind = rng.integers(3)
    if kind == 0:
        stretch = rng.uniform(0.6, 1.6)
        return abs(down - middle[0]) * stretch + abs(across - middle[1]) / stretch < radius
    distance = np.hypot(down - middle[0], across - middle[1])
    return distance < radius if kind == 1 else (distance < radius) & (distance > radius / 2)

"""The MNIST benchmark's training, a few epochs of it, on real data."""

import lenet5_mnist
import pytest

from fr_bench import data
from fr_keras import summary


@pytest.mark.slow
def test_776_coefficients_learn_mnist(real_data):
    mnist = data.load(str(real_data / "mnist.npz"))
    model, history = lenet5_mnist.train(mnist, seed=100, epochs=3)
    assert summary(model).kept == 776
    assert history["val_accuracy"][-1] > 0.8  # 40 epochs reach 0.98

"""A student learns the answers of a teacher, and keeps its best epoch."""

import dataclasses

import keras
import numpy as np
import pytest
from solved_tasks import CLASSES, classifier, dataset, pictures, sigmoid, softmax

from fr_bench import training
from fr_bench._teaching import AnswersOfTeacher, taught
from fr_bench.tasks import Head, Kind, find_task
from fr_bench.training import Regime
from fr_keras import regularize, summary

pytestmark = pytest.mark.usefixtures("stepwise_module")

X, Y = pictures(160)
RNG = np.random.default_rng(0)
T = 3.0


def divergence(teacher, student):
    """Hinton's loss by its formula, of logits."""
    p, q = softmax(teacher / T), softmax(student / T)
    return T**2 * np.mean(np.sum(p * np.log(p / q), -1))


def loss(kind, logits, teacher, student):
    head = Head(kind, "integers", teacher.shape[-1], logits)
    found = AnswersOfTeacher((head,)).compute_loss(
        teacher.astype("float32"), student.astype("float32")
    )
    return float(found)


@pytest.mark.parametrize("shape", [(9, 4), (3, 5, 6, 4)], ids=["classes", "masks"])
def test_the_divergence_of_classes_is_the_formula(shape):
    kind = Kind.CLASSES if len(shape) == 2 else Kind.MASKS
    teacher, student = RNG.normal(size=(2, *shape))
    expected = divergence(teacher, student)
    assert loss(kind, True, teacher, student) == pytest.approx(expected, rel=1e-4)
    # Probabilities say the same, for they are logits up to a constant.
    found = loss(kind, False, softmax(teacher), softmax(student))
    assert found == pytest.approx(expected, rel=1e-3)
    assert loss(kind, True, teacher, teacher) == pytest.approx(0, abs=1e-6)


def test_keras_takes_the_divergence_of_logits_if_the_loss_is_given_by_name():
    # The reason for `loss=KLDivergence()`: with the default this is not a divergence at all.
    teacher, student = RNG.normal(size=(2, 9, 4)).astype("float32")
    default = keras.distillation.LogitsDistillation(T).compute_loss(teacher, student)
    assert float(default) != pytest.approx(divergence(teacher, student), rel=1e-2)


@pytest.mark.parametrize("kind", [Kind.LABELS, Kind.TWO_CLASSES, Kind.TWO_MASKS])
def test_the_loss_of_labels_is_their_binary_cross_entropy(kind):
    teacher, student = RNG.normal(size=(2, 9, 5, 1))
    p, q = sigmoid(teacher), sigmoid(student)
    expected = -np.mean(p * np.log(q) + (1 - p) * np.log(1 - q))
    assert loss(kind, True, teacher, student) == pytest.approx(expected, rel=1e-4)
    assert loss(kind, False, p, q) == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_numbers_is_their_squared_error():
    teacher, student = RNG.normal(size=(2, 9, 3))
    expected = np.mean(np.square(teacher - student))
    assert loss(Kind.NUMBERS, False, teacher, student) == pytest.approx(expected, rel=1e-5)


def test_several_outputs_count_alike():
    first, second = RNG.normal(size=(2, 2, 9, 3)).astype("float32")
    heads = (Head(Kind.CLASSES, "integers", 3, True), Head(Kind.NUMBERS, "numbers", 3, False))
    found = AnswersOfTeacher(heads).compute_loss([first[0], second[0]], [first[1], second[1]])
    parts = divergence(first[0], first[1]), np.mean(np.square(second[0] - second[1]))
    assert float(found) == pytest.approx(np.mean(parts), rel=1e-4)


def test_the_teacher_stays_as_it_is_and_the_student_learns():
    teacher = classifier(X, Y)
    student = keras.models.clone_model(teacher)
    task = find_task(Y, teacher.predict(X / 255, verbose=0))
    before, start = teacher.get_weights(), student.get_weights()
    distiller = taught(student, teacher, task, 1.0)
    distiller.compile(keras.optimizers.Adam(1e-2), task.losses)
    distiller.fit(X.astype("float32") / 255, Y, epochs=2, verbose=0)
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(layer.trainable for layer in teacher.layers)
    assert any(np.any(a != b) for a, b in zip(start, student.get_weights(), strict=True))


def test_the_share_of_the_teacher_is_that_of_the_loss():
    teacher, student = classifier(X, Y), classifier(X, np.roll(Y, 1))
    x = X[:32].astype("float32") / 255
    answers = [model.predict(x, verbose=0) for model in (teacher, student)]
    task = find_task(Y, answers[0])
    labels = float(task.losses(Y[:32], answers[1]))
    of_teacher = loss(Kind.CLASSES, False, *answers)
    for share in (0.25, 1.0):
        distiller = taught(student, teacher, task, share)
        distiller.compile("sgd", task.losses)
        found = float(distiller.compute_loss(x, Y[:32], answers[1], training=False))
        assert found == pytest.approx((1 - share) * labels + share * of_teacher, rel=1e-3)


def test_the_best_epoch_is_kept_of_those_with_the_target():
    data = dataset(X, Y)
    twin = regularize(classifier(X, Y))
    regime = Regime(keep=0.2, epochs=5, truncation_epochs=2, learning_rate=0.05, best=True)
    cut = training.truncation(regime)
    fitted = training.fit(twin, data, regime, (cut,))
    scores, kept = fitted.history["val_accuracy"], fitted.history["kept"]
    assert kept[1] == kept[-1] == summary(twin).kept
    assert kept[0] > kept[1]
    outputs = training.answers(twin, data.validation)
    assert np.mean(outputs.argmax(-1) == data.validation.y) == pytest.approx(max(scores[1:]))


def test_weights_of_rows_reach_the_score_of_each_epoch():
    data = dataset(X, Y)
    weight = np.arange(40) < 10
    validation = dataclasses.replace(data.validation, sample_weight=weight.astype(float))
    data = dataclasses.replace(data, validation=validation)
    model = classifier(X, Y)
    fitted = training.fit(model, data, Regime(epochs=1))
    right = training.answers(model, validation).argmax(-1) == validation.y
    assert fitted.history["val_accuracy"] == [pytest.approx(right[:10].mean())]
    assert len(data.labels) == CLASSES

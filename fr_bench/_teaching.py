"""Distillation: a small network learns the answers of the trained one beside the labels."""

import keras
from keras import ops

from fr_bench.tasks import Head, Kind, Task

_TEMPERATURE = 3.0
_LEAST = 1e-7


class AnswersOfTeacher(keras.distillation.DistillationLoss):
    """How far the answers of the student are from those of the teacher.

    Classes and masks: the divergence of softened probabilities (Hinton et al. 2015, arXiv
    1503.02531), by `keras.distillation.LogitsDistillation`; other probabilities: their binary
    cross-entropy; numbers: their squared error.

    Args:
        heads: What each output solves.
    """

    def __init__(self, heads: tuple[Head, ...]):
        self._heads = heads
        # Given by its name, the loss would be computed on logits as if they were probabilities.
        self._soft = keras.distillation.LogitsDistillation(
            _TEMPERATURE, loss=keras.losses.KLDivergence()
        )

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        teacher, student = map(keras.tree.flatten, (teacher_outputs, student_outputs))
        found = [
            self._of_head(head, ops.cast(right, "float32"), ops.cast(given, "float32"))
            for head, right, given in zip(self._heads, teacher, student, strict=True)
        ]
        return sum(found) / len(found)

    def _of_head(self, head: Head, right, given):
        if head.kind is Kind.NUMBERS:
            return ops.mean(ops.square(right - given))
        if head.kind in (Kind.CLASSES, Kind.MASKS):
            return self._soft.compute_loss(_logits(head, right), _logits(head, given))
        right = ops.sigmoid(right) if head.logits else right
        return ops.mean(ops.binary_crossentropy(right, given, from_logits=head.logits))


def _logits(head: Head, outputs):
    """Logits, or the logarithms of probabilities, which are logits up to a constant."""
    return outputs if head.logits else ops.log(ops.clip(outputs, _LEAST, 1.0))


def taught(
    student: keras.Model, teacher: keras.Model, task: Task, share: float
) -> keras.distillation.Distiller:
    """A model that trains the student on labels and on the answers of a copy of the teacher.

    Args:
        student: The network to train.
        teacher: The trained network; it is not changed.
        task: What both solve.
        share: The share of the teacher's answers in the loss, from 0 to 1; the rest is that of the
            labels.
    """
    frozen = keras.models.clone_model(teacher)  # the distiller makes its teacher untrainable
    frozen.set_weights(teacher.get_weights())
    return keras.distillation.Distiller(
        frozen,
        student,
        [AnswersOfTeacher(task.heads)],
        distillation_loss_weights=[1.0],
        student_loss_weight=1.0 - share,
    )

"""`Nested`: networks of which each is the beginning of the next."""

import dataclasses
import operator

import keras

from fr_keras._backends import assign_copy
from fr_keras.methods._added import Added, added
from fr_keras.models import channels
from fr_keras.models.walk import named_layers


@dataclasses.dataclass(frozen=True, eq=False)
class Nested:
    """Networks from the smallest to the largest, each with the first channels of the next.

    Attributes:
        models: The networks, plain models.
        kept: For each of them the numbers of its channels in the network that they come from, in
            their order here, by the name of the group. Groups that stay whole are left out.
        shares: What each costs, as a share of the largest.
        scores: The score of each; `None` without a function that gives it.
        own: The names of the layers of which each network has weights of its own: its head. Or all
            layers that have weights, if all of each network was trained.
    """

    models: tuple[keras.Model, ...]
    kept: tuple[dict[str, list[int]], ...]
    shares: tuple[float, ...]
    scores: tuple[float, ...] | None
    own: tuple[str, ...]

    def cut(self, number: int) -> keras.Model:
        """Returns a network, made from the largest one and the weights of its own layers.

        It is `models[number]` again, to the bit. So the largest network and the heads are all that
        has to be stored.

        Args:
            number: The place of the network in `models`.

        Raises:
            ValueError: If there is no such network.
        """
        if not 0 <= operator.index(number) < len(self.models):
            raise ValueError(
                f"`number` must be from 0 to {len(self.models) - 1}, the place of a network in "
                f"`models`. Received: {number}"
            )
        first = {name: range(len(one)) for name, one in self.kept[number].items()}
        cut = channels.remove(self.models[-1], first)
        layers, its = named_layers(cut), named_layers(self.models[number])
        for name in self.own:
            for weight, own in zip(layers[name].weights, its[name].weights, strict=True):
                assign_copy(weight, own)
        return cut

    def added(self, number: int) -> dict[int, dict[int, Added]]:
        """Returns which positions of the weights of a network belong to its new channels.

        Args:
            number: The place of the network in `models`, from 1 on.

        Returns:
            By the `id` of a weight and the number of an axis: whether the weight reads the channels
            along the axis, and which positions are new, as bools.
        """
        before, now = self.kept[number - 1], self.kept[number]
        counts = {name: len(one) for name, one in before.items() if len(one) < len(now[name])}
        return added(self.models[number], counts)

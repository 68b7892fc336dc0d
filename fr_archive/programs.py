"""The program of a skeleton as bytes: the nodes of the recipes, the sites, and the gaps.

    program = count, steps, count, gaps        all numbers as varints
    step = op, a distance back for each node it takes, count, numbers
    site = 31, distance to its kernel, distance to its bias or 0, position of its input's scale
           minus that of the site before, whether each output channel has a scale of its own
    gap = words since the gap before, number of its site minus that of the gap before, part

A distance counts nodes: 1 is the last one. Differences are zigzag numbers, `2 n` or `-2 n - 1`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fr_archive._errors import ArchiveError
from fr_archive.container import varint
from fr_archive.filling import Part
from fr_archive.recipes import INPUTS, Node, Op

_SITE = 31
_MOST_STEPS = 1 << 14
_MOST_NUMBERS = 1 << 12
_LONGEST_VARINT = 5


@dataclass(frozen=True)
class Site:
    """An op with a kernel.

    Args:
        kernel: The recipe of its kernel, `(out, ...)`.
        bias: The recipe of its bias, or `None` for zeros.
        scale_at: The byte of the file where the scale of its input begins, a float32.
        by_channel: Whether each output channel has a scale of its own.
    """

    kernel: Node
    bias: Node | None
    scale_at: int
    by_channel: bool


@dataclass(frozen=True)
class Gap:
    """Bytes of the file that are left out: whole words, the last of which may end in zeros.

    Args:
        start: The first byte.
        site: The number of the site that they belong to.
        part: Which of its constants they are.
    """

    start: int
    site: int
    part: Part


class Writer:
    """Writes a program."""

    def __init__(self):
        self.content = bytearray()
        self._steps = bytearray()
        self._count = 0
        self._places: dict[Node, int] = {}

    def program(self, sites: Sequence[Site], gaps: Sequence[Gap], lengths: Sequence[int]) -> bytes:
        """Returns the program; `lengths` are the lengths of the gaps, in bytes."""
        before = 0
        for site in sites:
            references = [self._place(site.kernel)]
            if site.bias is not None:
                references.append(self._place(site.bias))
            distances = [len(self._places) - place for place in references]
            scale = _zigzag(site.scale_at // 4 - before)
            before = site.scale_at // 4
            self._step(_SITE, *distances, *([0] * (site.bias is None)), scale, site.by_channel)
        out = varint(self._count) + self._steps + varint(len(gaps))
        end = last = 0
        for gap, length in zip(gaps, lengths, strict=True):
            skipped = (gap.start - end) // 4
            out += varint(skipped) + varint(_zigzag(gap.site - last)) + varint(gap.part)
            end, last = gap.start + length, gap.site
        return bytes(out)

    def _place(self, node: Node) -> int:
        if node not in self._places:
            references = [self._place(one) for one in node.nodes]
            distances = [len(self._places) - place for place in references]
            self._step(node.op, *distances, len(node.numbers), *node.numbers)
            self._places[node] = len(self._places)
        return self._places[node]

    def _step(self, *numbers: int) -> None:
        self._steps += b"".join(varint(int(number)) for number in numbers)
        self._count += 1


class Reader:
    """Reads a program.

    Args:
        text: Bytes that begin with the program.

    Attributes:
        nodes: The nodes, each after the nodes that it takes.
        sites: The sites.
        position: The index of the next byte to read.
    """

    def __init__(self, text: bytes):
        self._text = text
        self.position = 0
        self.nodes: list[Node] = []
        self.sites: list[Site] = []

    def number(self, most: int = (1 << 32) - 1) -> int:
        """Reads a whole number.

        Raises:
            ArchiveError: If it is larger than `most`, longer than it needs to be, or cut.
        """
        number = 0
        for place in range(_LONGEST_VARINT):
            if self.position >= len(self._text):
                break
            byte = self._text[self.position]
            self.position += 1
            number |= (byte & 127) << 7 * place
            if byte < 128:
                if (place and not byte) or number > most:
                    break
                return number
        raise ArchiveError(
            f"A skeleton must have a number of at most {most}, in as few bytes as possible, before "
            f"its byte {self.position}"
        )

    def steps(self) -> None:
        """Reads the nodes and the sites.

        Raises:
            ArchiveError: If a step has an unknown code, or refers to a node that does not exist.
        """
        before = 0
        for _ in range(self.number(_MOST_STEPS)):
            code = self.number(_SITE)
            if code == _SITE:
                kernel, bias = self._node(self.number()), self.number()
                before += _signed(self.number())
                bias = self._node(bias) if bias else None
                self.sites.append(Site(kernel, bias, 4 * before, bool(self.number(1))))
                continue
            if code not in list(Op):
                raise ArchiveError(f"Recipes have no operation {code}")
            nodes = tuple(self._node(self.number()) for _ in range(INPUTS[Op(code)]))
            numbers = tuple(self.number() for _ in range(self.number(_MOST_NUMBERS)))
            self.nodes.append(Node(Op(code), nodes, numbers))

    def gaps(self) -> list[tuple[int, int, Part]]:
        """Reads for each gap the words before it, the number of its site, and its part.

        Raises:
            ArchiveError: If a gap belongs to no site.
        """
        found, site = [], 0
        for _ in range(self.number(_MOST_STEPS)):
            skipped = self.number()
            site += _signed(self.number())
            if not 0 <= site < len(self.sites):
                raise ArchiveError(f"Gap {len(found)} belongs to no op: there is no site {site}")
            found.append((skipped, site, Part(self.number(len(Part) - 1))))
        return found

    def _node(self, distance: int) -> Node:
        if not 1 <= distance <= len(self.nodes):
            raise ArchiveError(
                f"A recipe must take a node of the skeleton, not one {distance} back"
            )
        return self.nodes[-distance]


def _zigzag(number: int) -> int:
    return 2 * number if number >= 0 else -2 * number - 1


def _signed(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2

"""Where a .tflite file holds the constants that recipes give."""

from ai_edge_litert import schema_py_generated as schema

from fr_archive.filling import Part
from fr_archive.programs import Gap, Site
from fr_keras.tflite.file.graph import LINEAR, Recipes

# Slots of the tables in the schema's virtual tables, in bytes.
_BUFFER_DATA = 4
_SCALE = 8


def sites_of(content: bytes, recipes: Recipes) -> tuple[list[Site], list[Gap]]:
    """Returns the ops with recipes, and the places of the bytes that these give, in file order.

    Args:
        content: An int8 file that `convert` made.
        recipes: The recipes of its ops, by the number of the op.
    """
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    sites, starts = [], {}
    for place, recipe in sorted(recipes.items()):
        op = graph.Operators(place)
        kind = model.OperatorCodes(op.OpcodeIndex()).BuiltinCode()
        inputs = [op.Inputs(n) if n < op.InputsLength() else -1 for n in LINEAR[kind]]
        activation, kernel = (graph.Tensors(number) for number in inputs[:2])
        by_channel = kernel.Quantization().ScaleLength() > 1
        scale_at = _vector(activation.Quantization(), _SCALE)
        sites.append(Site(recipe.kernel, recipe.bias, scale_at, by_channel))
        parts = [(kernel, Part.KERNEL, Part.SCALES)]
        if inputs[2] >= 0:
            parts.append((graph.Tensors(inputs[2]), Part.BIAS, Part.BIAS_SCALES))
        for tensor, numbers, scales in parts:
            for start, part in (
                (_vector(model.Buffers(tensor.Buffer()), _BUFFER_DATA), numbers),
                (_vector(tensor.Quantization(), _SCALE), scales),
            ):
                # Equal vectors are written once: the first op with such a vector gives it.
                starts.setdefault(start, Gap(start, len(sites) - 1, part))
    read = {site.scale_at for site in sites}
    gaps = [gap for start, gap in sorted(starts.items()) if start not in read]
    return sites, gaps


def _vector(table, slot: int) -> int:
    """The byte at which the vector in a table begins, after its length."""
    return table._tab.Vector(table._tab.Offset(slot))

"""The texts beside a chosen file: its model card, and an example for Android."""

import math

from fr_keras import tflite


def model_card(results: dict, labels: tuple[str, ...]) -> str:
    """Returns the model card of the chosen file of `fr_bench.compress`, as Markdown.

    Args:
        results: The contents of `result.json`.
        labels: The names of the classes.
    """
    row = next(one for one in results["rows"] if one["name"] == results["chosen"])
    return _text("model_card.md", results=results, row=row, labels=labels)


def android_example(content: bytes) -> str:
    """Returns a Kotlin class that runs an int8 file with one input and one output.

    Args:
        content: The .tflite file, as `fr_keras.tflite.convert` makes it.

    Raises:
        ValueError: If the file has several inputs or outputs, or takes or gives floats.
    """
    found = tflite.inspect(content)
    ends = (*found.inputs, *found.outputs)
    if len(ends) != 2 or any(end.scale is None for end in ends):
        raise ValueError(
            "`content` must be an int8 file with one input and one output. Received: "
            f"{', '.join(map(str, ends))}"
        )
    pixels = found.metadata.get("normalization")
    scaled = "value" if pixels is None else "value * {scale!r}f + {offset!r}f".format(**pixels)
    return _text(
        "Model.kt",
        input=ends[0],
        output=ends[1],
        sizes=[math.prod(end.shape) for end in ends],
        scaled=scaled,
        pixels=pixels is not None,
        labels=[_kotlin(label) for label in found.metadata.get("labels") or ()],
    )


def _kotlin(text: str) -> str:
    """The text inside the quotes of a string of Kotlin."""
    for one, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\n")):
        text = text.replace(one, escaped)
    return text


def _text(template: str, **values) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fr_bench", "report"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)

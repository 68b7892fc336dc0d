"""Lets `python -m fr_keras_cli` do the same as `fr-keras`."""

from fr_keras_cli import run

run()

"""`python -m fr_keras_cli` is `fr-keras`."""

from fr_keras_cli import run

run()

"""Shells complete the command `fr-keras`, as `docs/guide.md` says to set it up."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[1] / "docs" / "guide.md").read_text()
# What bash does at a press of the tab key: the words, the place of the cursor, the function.
_PRESS_TAB = """
set -eu
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
compopt() { echo "compopt $1 $2"; }
$(complete -p fr-keras | sed 's/.*-F \\([^ ]*\\).*/\\1/') fr-keras
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def environment(tmp_path):
    """`fr-keras` among the programs, as an installation puts it there, and no TensorFlow."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "fr-keras"
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('tensorflow', 'keras')))  # an import fails\n"
        "from fr_keras_cli import run\n"
        "run()\n"
    )
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def script(shell: str, environment: dict) -> str:
    """What the line of the guide writes."""
    (line,) = re.findall(rf"^\$ (_FR_KERAS_COMPLETE={shell}_source fr-keras) > ", GUIDE, re.M)
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["un"], ["unpack"]),
        (["con"], ["convert"]),
        (["convert", "--quantize", "int"], ["int8", "int16x8"]),
        (["convert", "--fl"], ["--float-io", "--float-layer"]),
        (["unpack", "--cap"], ["--capacity"]),
        (["inspect", "m."], ["compopt -o default", ""]),  # bash completes the file itself
    ],
)
def test_bash_completes(environment, tmp_path, typed, offered):
    completion = tmp_path / "completion.bash"
    completion.write_text(script("bash", environment))
    words = ["bash", "-c", _PRESS_TAB, "bash", str(completion), "fr-keras", *typed]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == offered


@pytest.mark.parametrize(("shell", "start"), [("zsh", "#compdef fr-keras"), ("fish", "function ")])
def test_other_shells_get_a_script_that_asks_the_command(environment, shell, start):
    text = script(shell, environment)
    assert text.startswith(start)
    assert f"_FR_KERAS_COMPLETE={shell}_complete" in text

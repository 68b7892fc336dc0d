"""The command `fr-archive`, and `fr-keras unpack`, which is the same to .tflite files."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nested_cases
import pytest
from click.testing import CliRunner
from test_archive import lenet5

import fr_archive
from fr_archive import Archive, Codebook, Kernel, Reference, Signs
from fr_archive.__main__ import _parser, main
from fr_keras import archive as keras_archive
from fr_keras_cli import main as keras_main

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "android_demo" / "models" / "digits.fr"
BARE = ROOT / "tests" / "goldens" / "archive_described_v1.fr"
README = ROOT / "fr_archive" / "README.md"


def fr_keras_command(words: list[str]) -> tuple[int, str, str]:
    done = CliRunner().invoke(keras_main, words)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(params=["fr-archive", "fr-keras"])
def call(request, capsys):
    """Runs one of both commands: its exit code, and what it prints to stdout and stderr."""

    def fr_archive_command(words: list[str]) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as stop:  # argparse ends so
            code = stop.code
        return code, *capsys.readouterr()

    run = fr_archive_command if request.param == "fr-archive" else fr_keras_command
    return lambda *words: run([str(word) for word in words])


def test_unpack_writes_what_the_archive_makes(call, tmp_path):
    output = tmp_path / "m.tflite"
    content = fr_archive.expand(fr_archive.decode(DIGITS.read_bytes()))
    code, shown, errors = call("unpack", DIGITS, output, "--json")
    assert (code, errors) == (0, "")
    assert json.loads(shown) == {"file": str(output), "bytes": len(content)}
    assert output.read_bytes() == content
    output.write_bytes(b"mine")
    code, shown, _ = call("unpack", DIGITS, output, "--force")
    assert (code, shown) == (0, f"{output}: {len(content):,} bytes\n")
    assert output.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["m.tflite"]


@pytest.mark.parametrize(
    ("words", "expected", "message"),
    [
        (
            ("unpack", DIGITS, "there.tflite"),
            2,
            "`path` exists and is not replaced: 'there.tflite'",
        ),
        (("unpack", DIGITS, "nowhere/m.tflite"), 2, "must lie in a folder that exists"),
        (("unpack", DIGITS, "folder.tflite", "--force"), 2, "folder"),
        (("unpack", DIGITS, "m.h5"), 2, "must end in"),
        (("unpack", DIGITS), 2, "OUTPUT"),
        (("unpack", "none.fr", "m.tflite"), 2, "none.fr"),
        (("unpack", "folder.tflite", "m.tflite"), 2, "folder.tflite"),
        (("unpack", BARE, "m.tflite"), 1, "must have a skeleton"),
        (("unpack", "there.tflite", "m.tflite"), 1, "This is not a .fr archive"),
        (("unpack", "cut.fr", "m.tflite"), 1, "The checksum is wrong: the file is damaged"),
        (("inspect", "cut.fr"), 1, "The checksum is wrong: the file is damaged"),
        (("inspect", "none.fr"), 2, "none.fr"),
        (("repack", DIGITS), 2, "repack"),
    ],
)
def test_both_commands_refuse_the_same(call, tmp_path, monkeypatch, words, expected, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.tflite").write_bytes(b"mine")
    (tmp_path / "cut.fr").write_bytes(DIGITS.read_bytes()[:-9])
    (tmp_path / "folder.tflite").mkdir()
    code, shown, errors = call(*words)
    assert (code, shown) == (expected, "")
    assert message in errors
    names = ["cut.fr", "folder.tflite", "there.tflite"]
    assert sorted(one.name for one in tmp_path.iterdir()) == names
    assert (tmp_path / "there.tflite").read_bytes() == b"mine"


@pytest.mark.parametrize("path", [DIGITS, BARE], ids=lambda path: path.name)
def test_inspect_agrees_with_that_of_fr_keras(capsys, path):
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    known = keras_archive.inspect(path).to_dict()
    names = ["bytes", "by_reference", "sections"]
    assert [found[name] for name in names] == [known[name] for name in names]
    assert found["network"] == (known["network"] if known["by_reference"] else None)
    rows = found["tensors"] + found["vectors"]
    assert sum(one["numbers"] for one in found["tensors"]) == sum(
        one["kept"] for one in known["layers"]
    )
    steps = [step for one in known["layers"] for step in one["steps"]]
    assert [one["step"] for one in found["tensors"]] == steps
    assert sum(one["bytes"] for one in rows) == pytest.approx(
        sum(one["bytes"] for one in known["layers"])
    )


def test_inspect_for_people(capsys):
    assert main(["inspect", str(DIGITS)]) == 0
    shown = capsys.readouterr().out
    assert f"{DIGITS}: 4,587 bytes\nnetwork: 'lenet5', by name\n" in shown
    assert "`fr-archive unpack` makes its .tflite file" in shown
    assert main(["inspect", str(BARE)]) == 0
    shown = capsys.readouterr().out
    assert "network: described in full" in shown
    assert "cannot make a .tflite file" in shown


def test_inspect_shows_levels_and_seeds(tmp_path, capsys):
    kernels = [Codebook((2, 0, 1, 1), (-0.5, 0, 0.5), 2), Kernel((4, 1), -16, 1)]
    kernels.append(Signs(2**64 - 1, 0.1, 600, 3))
    data = fr_archive.encode(Archive(Reference("net"), [], kernels=kernels))
    (tmp_path / "m.fr").write_bytes(data)
    assert main(["inspect", str(tmp_path / "m.fr")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "3 levels" in lines[-4]
    assert "0.25" in lines[-3]
    assert lines[-2].split()[2:6] == ["600", "of", "a", "seed"]
    assert main(["inspect", str(tmp_path / "m.fr"), "--json"]) == 0
    *rows, last = json.loads(capsys.readouterr().out)["kernels"]
    assert (last["numbers"], last["seed"]) == (600, 2**64 - 1)
    assert last["scale"] == pytest.approx(0.1)
    assert [(one.get("levels"), one.get("step")) for one in rows] == [
        ([-0.5, 0, 0.5], None),
        (None, 0.25),
    ]


def test_a_name_cannot_steer_the_terminal(tmp_path, capsys):
    name = "\x1b[2J\x9b2J\r\n\u202e"
    network = fr_archive.Archive(fr_archive.Reference(name), lenet5().tensors)
    path = tmp_path / "m.fr"
    path.write_bytes(fr_archive.encode(network))
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out.replace("\n", "")
    assert shown.isprintable()
    assert main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == name


_UNPACK = """
import sys
from fr_keras_cli import main
main(sys.argv[1:], standalone_mode=False)
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_fr_keras_unpacks_without_tensorflow_and_keras(tmp_path):
    output = tmp_path / "m.tflite"
    words = [sys.executable, "-c", _UNPACK, "unpack", str(DIGITS), str(output), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.splitlines()[-1]
    assert "'fr_archive'" in loaded
    assert not [name for name in ("tensorflow", "keras", "fr_keras") if f"'{name}'" in loaded]
    assert output.exists()


def test_a_check_that_fails_leaves_nothing(tmp_path):
    def check(content: bytes) -> None:
        assert content[4:8] == b"TFL3"
        raise fr_archive.ArchiveError("no such op")

    with pytest.raises(fr_archive.ArchiveError, match="no such op"):
        fr_archive.unpack(DIGITS, tmp_path / "m.tflite", check)
    assert not list(tmp_path.iterdir())


def test_the_readme_of_fr_archive_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.fr").write_bytes(DIGITS.read_bytes())
    text = README.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(code, names)
    assert (tmp_path / "model.tflite").read_bytes() == names["content"]
    assert "lenet5" in capsys.readouterr().out
    commands = re.findall(r"^\$ fr-archive (.*)$", text, re.MULTILINE)
    assert len(commands) == 2
    for one in commands:
        _parser().parse_args(shlex.split(one, comments=True))


def test_files_of_several_networks(capsys, tmp_path):
    path = tmp_path / "several.fr"
    path.write_bytes(nested_cases.file(3, 4))
    networks = nested_cases.networks(3, 4)
    assert main(["inspect", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["profile"] for one in told["networks"]] == [one.profile for one in networks]
    assert sum(one["bytes"] for one in told["networks"]) + 4 == path.stat().st_size
    assert main(["inspect", str(path)]) == 0
    assert "cut" not in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["inspect", str(path)]) == 0
    assert "networks: 3" in (shown := capsys.readouterr().out)
    assert "It was cut" in shown
    assert main(["unpack", str(path), str(tmp_path / "m.tflite"), "--capacity", "0.001"]) == 1
    assert "at least the share of the smallest network" in capsys.readouterr().err
    assert main(["unpack", str(DIGITS), str(tmp_path / "m.tflite"), "--capacity", "0.5"]) == 1
    assert "an archive of one network" in capsys.readouterr().err

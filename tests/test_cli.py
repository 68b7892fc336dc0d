import json
import re
import resource
import shlex
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from examples import telling
from test_data import arrays

import fr_keras
from fr_bench import demo
from fr_keras_cli import main

# One epoch on noise: arg-maxes are close calls, and conversion says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning"),
    pytest.mark.usefixtures("stepwise_module"),
]

QUICK = ["--epochs", "1", "--keep", "0.01"]


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def calibration(path):
    """One epoch on noise teaches nothing, so the range of pixels is given."""
    return ("--calibration", path, "--scale", "0..1")


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, **arrays(rows=60))
    return path


@pytest.fixture(scope="module")
def trained(npz, tmp_path_factory):
    """A model that `train` wrote, and what it printed."""
    path = tmp_path_factory.mktemp("model") / "fr.keras"
    done = call("train", "lenet5", "--out", path, "--data", npz, *QUICK, "--json")
    assert done.exit_code == 0, done.output
    return path, json.loads(done.stdout)


def test_help_imports_no_tensorflow():
    code = (
        "import sys\n"
        "from fr_keras_cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not {'tensorflow', 'keras', 'fr_keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("demo", "train", "compare", "convert", "inspect"))


def test_train_saves_what_it_reports(trained):
    path, report = trained
    import keras

    model = keras.models.load_model(path)
    assert fr_keras.summary(model).to_dict() == report["summary"]
    assert report["summary"]["kept"] == report["history"]["kept"][-1]
    test = report["test"]
    assert 0 <= test["low"] <= test["value"] <= test["high"] <= 1
    assert (test["n"], report["metric"]) == (8, "accuracy")


def test_train_shares_by_bandwidth_unless_told_otherwise(npz, trained, tmp_path):
    out = tmp_path / "m.keras"
    words = ("train", "lenet5", "--out", out, "--data", npz, *QUICK, "--json")
    done = call(*words, "--sharing", "proportional")
    assert done.exit_code == 0, done.output
    least = [
        min(row["kept"] for row in found["summary"]["layers"] if row["kept"])
        for found in (json.loads(done.stdout), trained[1])
    ]
    assert least[0] < 10  # in proportion, the first convolution gets a handful
    assert least[1] > 30


@pytest.mark.parametrize("mode", telling(["float32", "int8"], "int8"))
def test_convert_and_inspect(trained, npz, tmp_path, mode):
    out = tmp_path / "m.tflite"
    done = call("convert", trained[0], out, "--quantize", mode, *calibration(npz), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["bytes"] == out.stat().st_size
    assert found["agreement"]["rows_from"] == "held out"
    seen = json.loads(call("inspect", out, "--json").stdout)
    assert seen["bytes"] == found["bytes"]
    assert seen["metadata"]["labels"] == list("0123")
    assert seen["metadata"]["normalization"] == {"scale": 1 / 255, "offset": 0.0}
    assert seen["inputs"][0]["dtype"] == mode
    text = call("inspect", out)
    assert text.exit_code == 0
    assert "CONV_2D" in text.output


def test_convert_takes_the_form(trained, tmp_path):
    sizes = {}
    for form in ("auto", "dense"):
        done = call("convert", trained[0], tmp_path / f"{form}.tflite", "--form", form)
        assert done.exit_code == 0, done.output
        assert "arg-max agrees" in done.output  # the table for people
        sizes[form] = (tmp_path / f"{form}.tflite").stat().st_size
    assert sizes["auto"] < 0.2 * sizes["dense"]


@pytest.mark.filterwarnings("ignore:calibration changed")
def test_pack_inspect_and_unpack(trained, npz, tmp_path):
    out, back = tmp_path / "m.fr", tmp_path / "back.keras"
    done = call("pack", trained[0], out, *calibration(npz), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["bytes"] == out.stat().st_size < 0.01 * trained[0].stat().st_size
    assert found["by_reference"]
    seen = json.loads(call("inspect", out, "--json").stdout)
    assert seen["sections"] == found["sections"]
    assert "conv1_bn" in call("inspect", out).output
    done = call("unpack", out, back, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["kept"] == trained[1]["summary"]["kept"]
    assert call("pack", back, tmp_path / "again.fr").exit_code == 0
    assert (tmp_path / "again.fr").read_bytes() == out.read_bytes()
    done = call("unpack", out, back, "--capacity", "0.5", "--force")
    assert done.exit_code == 0, done.output
    assert "coefficients kept" in done.output
    coarse = json.loads(call("pack", trained[0], out, "--step", 0.1, "--force", "--json").stdout)
    assert coarse["bytes"] < found["bytes"]


def test_pack_and_unpack_refuse_what_they_cannot_do(trained, tmp_path):
    out = tmp_path / "m.fr"
    out.write_bytes(b"mine")
    for arguments, code, message in (
        (("pack", trained[0], out), 2, "--force"),
        (("pack", trained[0], tmp_path / "m.zip"), 2, "must end in .fr"),
        (("unpack", out, tmp_path / "m.h5"), 2, "must end in .keras or .tflite"),
        (("unpack", out, tmp_path / "m.keras"), 1, "not a .fr archive"),
        (("inspect", out), 1, "not a .fr archive"),
    ):
        done = call(*arguments)
        assert done.exit_code == code
        assert message in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["m.fr"]


@pytest.mark.slow
def test_pack_searches_within_a_budget(trained, npz, tmp_path):
    out = tmp_path / "m.fr"
    done = call("pack", trained[0], out, "--data", npz, "--max-bytes", 30, "--scale", "0..1")
    assert done.exit_code == 1
    least = re.search(r"at least (\d+), the size of the smallest archive", done.stderr)[1]
    assert not out.exists()
    goal = ("--scale", "0..1", "--max-bytes", least, "--fine-tune", 1)
    done = call("pack", trained[0], out, "--data", npz, *goal, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["bytes"] == out.stat().st_size <= int(least)
    assert found["sections"]["coefficients"] < found["bytes"]
    assert {"conv1", "conv1_bn", "hidden"} <= {row["name"] for row in found["layers"]}
    assert found["search"]["trials"] > 11
    assert call("pack", trained[0], out, "--max-bytes", 700, "--force").exit_code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-drop", 0.1), "need --data"),
        (("--max-drop", 0.1, "--max-bytes", 700, "--data", "digits"), "give only one"),
        (("--max-drop", 0.1, "--step", 0.1, "--data", "digits"), "leave them out"),
        (("--data", "digits"), "need --max-drop or --max-bytes"),
        (("--search-kept",), "need --max-drop or --max-bytes"),
        (("--fine-tune", 1), "need --max-drop or --max-bytes"),
        (("--max-bytes", 700, "--skeleton", "--data", "digits"), "does not count the skeleton"),
        (("--float-io",), "give both"),
        (("--max-drop", 1.5, "--data", "digits"), "--max-drop"),
        (("--max-bytes", 0, "--data", "digits"), "--max-bytes"),
    ],
)
def test_pack_refuses_options_that_do_not_go_together(trained, tmp_path, options, message):
    done = call("pack", trained[0], tmp_path / "m.fr", *options)
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())


def test_sensitivity(trained, npz, tmp_path, monkeypatch):
    seen, usual = [], fr_keras.tflite.sensitivity

    def once(*arguments, **options):
        seen[:] = seen or [usual(*arguments, **options)]
        return seen[0]

    monkeypatch.setattr(fr_keras.tflite, "sensitivity", once)
    done = call("sensitivity", trained[0], *calibration(npz), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {*found} >= {"conv1", "classifier"}
    parts = [one["mean"] / one["range"] for one in found.values()]
    assert parts == sorted(parts, reverse=True)
    assert "conv1" in call("sensitivity", trained[0], *calibration(npz)).output
    options = ("--quantize", "int8", *calibration(npz), "--float-layer", "conv1")
    out = tmp_path / "mixed.tflite"
    assert call("convert", trained[0], out, *options).exit_code == 0
    assert "QUANTIZE" in call("inspect", out).output


def test_inspect_a_keras_file(trained):
    done = call("inspect", trained[0], "--json")
    assert json.loads(done.stdout) == trained[1]["summary"]
    assert "conv1" in call("inspect", trained[0]).output


def test_the_command_is_in_the_file(trained, tmp_path, monkeypatch):
    arguments = ["convert", str(trained[0]), "m.tflite"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fr-keras", *arguments])
    assert call(*arguments).exit_code == 0
    stored = fr_keras.tflite.inspect(tmp_path / "m.tflite").metadata["command"]
    assert stored == shlex.join(["fr-keras", "convert", trained[0].name, "m.tflite"])


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("jinja2", "report"),
        ("matplotlib", "report"),
        ("sklearn.datasets", "digits"),
    ],
)
def test_a_missing_extra_is_named_before_the_work(tmp_path, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    done = call("demo", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert f"pip install 'fr-keras[{extra}]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_entry_point_keeps_stdout_for_results(trained):
    done = subprocess.run(
        [sys.executable, "-m", "fr_keras_cli", "inspect", str(trained[0]), "--json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == trained[1]["summary"]["kept"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "lenet5"], "--out"),
        (["train", "lenet5", "--out", "m.h5"], ".keras"),
        (["train", "lenet5", "--out", "m.keras", "--keep", "0"], "at least 1"),
        (["train", "lenet5", "--out", "m.keras", "--keep", "1.5"], "at most 1.0"),
        (["train", "lenet5", "--out", "m.keras", "--keep", "many"], "fraction"),
        (["train", "lenet5", "--out", "m.keras", "--keep", "999999999"], "from 1 to"),
        (["train", "lenet5", "--out", "m.keras", "--keep", "3"], "floors"),
        (["train", "lenet5", "--out", "m.keras", "--seed", "-1"], "seed"),
        (["train", "lenet5", "--out", "m.keras", "--epochs", "0"], "epochs"),
        (
            ["train", "lenet5", "--out", "m.keras", "--epochs", "2", "--truncation-epochs", "3"],
            "truncation-epochs",
        ),
        (["train", "lenet5", "--out", "m.keras", "--schedule", "up"], "schedule"),
        (["train", "lenet5", "--out", "m.keras", "--floors", "0"], "floors"),
        (["train", "lenet5", "--out", "m.keras", "--data", "mnits"], "digits"),
        (["train", "vgg", "--out", "m.keras"], "MODEL must be one of"),
        (["train", "--out", "m.keras"], "give MODEL"),
        (["compare", "--method", "magic"], "--method must be one of"),
        (["compare", "--keep", "3"], "floors"),
        (["compare", "--model", "none.keras"], ".hdf5 file that exists"),
        (["convert", "none.keras", "m.tflite"], "does not exist"),
        (["convert", "{model}", "m.tflite", "--quantize", "int4"], "int4"),
        (["convert", "{model}", "m.tflite", "--quantize", "int8"], "--calibration"),
        (["convert", "{model}", "{model}"], "must be the .tflite file"),
        (["convert", "{model}", "nowhere/m.tflite"], "folder that exists"),
        (["train", "lenet5", "--out", "nowhere/m.keras"], "folder that exists"),
        (["train", "lenet5", "--out", "m.keras", "--data", "none.npz"], "none.npz"),
        (["inspect", "none.tflite"], "does not exist"),
        (["demo", "--epochs", "-1"], "epochs"),
    ],
)
def test_wrong_usage_is_exit_code_2(trained, npz, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = trained[0].read_bytes()
    arguments = [argument.format(model=trained[0]) for argument in arguments]
    if arguments[0] in ("train", "compare") and "--data" not in arguments:
        arguments += ["--data", str(npz)]
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
    assert trained[0].read_bytes() == before


def test_failures_are_exit_code_1_and_leave_nothing(trained, npz, tmp_path):
    damaged = {
        "m.tflite": b"TFL3 and then nothing",
        "m.keras": trained[0].read_bytes()[:5000],
        "d.npz": npz.read_bytes()[:500],
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out.tflite"
    for arguments in (
        ["inspect", tmp_path / "m.tflite"],
        ["inspect", tmp_path / "m.keras"],
        ["convert", tmp_path / "m.keras", out],
        ["convert", trained[0], out, "--quantize", "int8", "--calibration", tmp_path / "d.npz"],
        ["train", "lenet5", "--out", tmp_path / "t.keras", "--data", tmp_path / "d.npz"],
    ):
        done = call(*arguments)
        assert done.exit_code == 1, done.output
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.output
    assert {path.name for path in tmp_path.iterdir()} == set(damaged)


@pytest.mark.slow
def test_a_disk_that_fills_is_exit_code_1_and_keeps_the_old_file(trained, tmp_path):
    """A real write that the system stops half-way: the file size limit of the process."""
    file, model = tmp_path / "m.tflite", tmp_path / "m.keras"
    done = call("pack", trained[0], tmp_path / "whole.fr")
    assert done.exit_code == 0, done.output
    commands = [
        ["convert", str(trained[0]), str(file), "--force"],
        ["unpack", str(tmp_path / "whole.fr"), str(model), "--force"],
    ]
    for out in (file, model):
        out.write_bytes(b"mine")
    code = (
        "from fr_keras_cli import main\n"
        f"for arguments in {commands}:\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 0, done.stderr
    # The converter writes temporary files of its own before there is a file to write.
    for message in ("make room in", "cannot be written and is left as it was"):
        assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (file.read_bytes(), model.read_bytes()) == (b"mine", b"mine")


@pytest.mark.slow  # as `make demo`
def test_demo(npz, tmp_path):
    """The whole demo on a few rows: every file and the report are there and say the same."""
    out = tmp_path / "demo"
    done = call("demo", "--data", npz, *QUICK, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    # Where stderr is no terminal, each step has a line.
    assert "converting plain int8" in done.stderr
    assert "(1 of " in done.stderr
    results = json.loads(done.stdout)
    assert results == json.loads((out / "results.json").read_text())
    assert f"{results['network']['kept']:,} of" in demo.title(results)
    forms = {form["form"]: form for form in results["forms"]}
    names = ("plain", "pruning", "narrow")
    others = {f"{name} {mode}" for name in names for mode in ("float32", "int8")}
    archives = {"plain archive+int8", "FR archive", "FR archive+int8"}
    assert set(forms) == others | {f"FR {mode}" for mode in fr_keras.tflite.MODES} | archives
    for name in archives:
        assert (out / forms[name]["file"]).stat().st_size == forms[name]["download_bytes"]
    x, y = arrays(rows=60)["x_test"][..., None] / 255, arrays(rows=60)["y_test"]
    for name in set(forms) - archives:
        form, path = forms[name], out / (name.lower().replace(" ", "_") + ".tflite")
        assert path.stat().st_size == form["device_bytes"]
        right = np.mean(fr_keras.tflite.run(path, x).argmax(-1) == y)
        assert (form["score"]["value"], form["score"]["n"]) == (right, len(y))
    assert forms["FR int8"]["kept"] == results["network"]["kept"]
    assert forms["plain int8"]["kept"] == results["network"]["kernel_weights"]
    assert np.sum(results["confusion"]) == len(y)
    for shares in results["bands"].values():
        assert sum(shares) == pytest.approx(1)
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page
    again = call("demo", "--data", npz, *QUICK, "--out", out)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    other = tmp_path / "other"
    other.mkdir()
    (other / "fr.keras").write_bytes(b"mine")
    assert call("demo", "--data", npz, *QUICK, "--out", other).exit_code == 2
    assert (other / "fr.keras").read_bytes() == b"mine"
    assert len(list(other.iterdir())) == 1

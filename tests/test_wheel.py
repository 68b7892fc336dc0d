"""The built wheel works outside the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_built_wheel_works_outside_the_checkout(tmp_path):
    def run(*command, **kwargs):
        return subprocess.run(command, check=True, capture_output=True, text=True, **kwargs)

    pip = [sys.executable, "-m", "pip", "--quiet"]
    source = tmp_path / "source"  # building writes beside the sources
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "demo_output"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    run(*build, str(source))
    (wheel,) = tmp_path.glob("fr_keras-*.whl")
    site = tmp_path / "site"
    run(*pip, "install", "--no-deps", "--target", str(site), str(wheel))
    assert {"fr_archive", "fr_bench", "fr_keras", "fr_keras_cli"} <= {
        one.name for one in site.iterdir()
    }
    assert (site / "fr_keras" / "py.typed").is_file()
    assert (site / "fr_bench" / "report" / "demo.html").is_file()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import fr_keras\n"
        f"assert fr_keras.__file__.startswith({str(site)!r})\n"
        "model = fr_keras.regularize(fr_keras.zoo.lenet5())\n"
        "print(len(fr_keras.tflite.convert(model).content))\n"
    )
    done = run(sys.executable, "-I", "-c", code, cwd=tmp_path)
    assert int(done.stdout) > 1_700_000

"""Compiles `android_demo/scheduler` and runs its tests on the JVM: the choices of Python.

    python tools/android/scheduler.py

It needs what `jvm.py` needs, and puts its classes into `build/android/scheduler`.
"""

import shutil
import sys
from pathlib import Path

import api
import jars
import jvm
from jvm import set_up

MODULE = jvm.ROOT / "android_demo" / "scheduler"
BUILD = jvm.BUILD / "scheduler"
VECTORS = jvm.ROOT / "tests" / "scheduler_vectors.json"


def work(found: dict[str, list[Path]]) -> bool:
    """Compiles and tests the module, and returns whether all passed."""
    shutil.rmtree(BUILD, ignore_errors=True)
    main, test = BUILD / "main", BUILD / "test"
    library, sources = found["library"], MODULE / "src"
    jvm.kotlinc(found, sources / "main" / "kotlin", main, library, ["-Xexplicit-api=strict"])
    needed = [main, *library, *found["tests"]]
    jvm.kotlinc(found, sources / "test" / "kotlin", test, needed, [f"-Xfriend-paths={main}"])
    print("android: comparing with the classes of Android 8.0", flush=True)
    api.check(main, jars.folder().resolve())
    return jvm.run_tests(found, test, [main, *library], {"scheduler.vectors": VECTORS})


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))

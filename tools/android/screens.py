"""Runs the screens of `android_demo/app` in Android's own classes on the JVM, with Robolectric.

    python tools/android/screens.py

Run it after `apk.py`, whose classes and resources it uses. The networks run on LiteRT for Python,
with `serve.py`. Robolectric needs `androidx.test`, which is in Google's repository and not in Maven
Central, so Maven's settings must know that repository.
"""

import re
import sys
from pathlib import Path

import apk
import app
import guide
import jars
import jvm
import sdk
from jars import SetupError

OLDEST_JAVA = 17
USES = ("android", "oldest", "tflite", "screens")
CLASSES, PICTURES = app.BUILD / "screens-test", app.BUILD / "pictures"
# What Robolectric reads to find the app: as the plugin for Gradle writes it.
_CONFIG = """android_custom_package={package}
android_merged_manifest={manifest}
android_merged_assets={assets}
android_resource_apk={resources}
"""


def compile_tests(found: dict[str, list[Path]]) -> list[Path]:
    """Compiles the tests, and returns all that they need, Android last."""
    aars = [one for one in found["screens"] if one.suffix == ".aar"]
    libraries = guide.unpacked(aars, app.BUILD / "libraries")
    libraries += [one for one in found["screens"] if one.suffix == ".jar"]
    screens, logic = app.BUILD / "screens", app.BUILD / "logic"
    if not screens.is_dir():
        raise SetupError("the classes of the app are missing: run `tools/android/apk.py` first")
    classes = [screens, logic, app.BUILD / "ids", *app.MODULES]
    classes += guide.unpacked(found["tflite"], app.BUILD / "libraries")
    classes += [*found["library"], *libraries, found["android"][0]]
    friends = f"-Xfriend-paths={screens},{logic}"
    jvm.kotlinc(found, app.TESTS, CLASSES, classes, [friends], "*.kt")
    return classes


def configure() -> None:
    """Writes what Robolectric reads."""
    for file in (app.APP / "src" / "test" / "resources").iterdir():
        (CLASSES / file.name).write_bytes(file.read_bytes())
    config = CLASSES / "com" / "android" / "tools" / "test_config.properties"
    config.parent.mkdir(parents=True, exist_ok=True)
    text = _CONFIG.format(
        package=apk.PACKAGE,
        manifest=app.BUILD / "AndroidManifest.xml",
        assets=app.MODELS.parent,
        resources=app.BUILD / "linked.apk",
    )
    config.write_text(text)


def set_up() -> dict[str, list[Path]]:
    """The jars, by use.

    Raises:
        SetupError: If they or Java cannot be had.
    """
    said = sdk.said([jvm.java(), "-version"]).stderr
    number = re.search(r'version "(\d+)', said)
    if number is None or int(number.group(1)) < OLDEST_JAVA:
        came = (said.splitlines() or ["nothing"])[0]
        raise SetupError(f"Android 15's classes need Java {OLDEST_JAVA} or newer. Received: {came}")
    return jars.fetch(jars.listed((*jars.MODULE, *USES)), jars.folder().resolve())


def work(found: dict[str, list[Path]]) -> bool:
    """Compiles and runs the tests, and returns whether all passed."""
    classes = compile_tests(found)
    configure()
    properties = {
        "app.engine": jvm.joined([Path(sys.executable), Path(__file__).with_name("serve.py")]),
        "app.pictures": PICTURES,
        "robolectric.offline": "true",
        "robolectric.dependency.dir": found["android"][0].parent,
        "robolectric.usePreinstrumentedJars": "false",
    }
    passed = jvm.run_tests(found, CLASSES, classes, properties, heap="2g")
    print(f"android: pictures of the screens are in {PICTURES.relative_to(jvm.ROOT)}")
    return passed


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))

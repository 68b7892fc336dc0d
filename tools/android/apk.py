"""Compiles the screens of `android_demo/app` against Android, makes an APK, and checks it.

    python tools/android/apk.py

Run it after `app.py`, whose classes it uses. `aapt2`, `zipalign` and `apksigner` come from Debian
packages in a private folder.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import api
import app
import dex
import guide
import jars
import jvm
from jars import SetupError
from sdk import Tools, run

#: What the app is made of besides what every module is.
USES = ("android", "resources", "tflite", "backporter", "dexer")
BUILD = app.BUILD
PACKAGE = "org.frkeras.demo"
ABIS = ("arm64-v8a", "x86_64")
#: Asked for their newer parts only where they are there.
GUARDED = (
    "android.os.Build",
    "android.os.PowerManager",
    "android.os.PowerManager$OnThermalStatusChangedListener",
)
_MANIFEST = "<manifest "
_PASSWORD = "throw-away"


def compile_app(found: dict[str, list[Path]], resources: Path) -> list[Path]:
    """Compiles what is not logic against Android, and returns all that the app is made of."""
    libraries = guide.unpacked(found["tflite"], BUILD / "libraries")
    ids, screens = BUILD / "ids", BUILD / "screens"
    command = [jvm.program("javac"), "--release", "8", "-Xlint:-options", "-d", str(ids)]
    done = subprocess.run([*command, *map(str, resources.rglob("R.java"))])
    if done.returncode:
        raise SetupError("`javac` refuses the ids of the resources")
    mine = [*app.MODULES, BUILD / "logic", ids]
    classpath = [*found["android"], *mine, *libraries, *found["library"]]
    jvm.kotlinc(found, app.SOURCES, screens, classpath, [], "*.kt")
    return [*mine, screens, *libraries, *found["library"]]


def link(tools: Tools, found: dict[str, list[Path]]) -> Path:
    """Links manifest, resources and assets, and returns the folder of the ids' source."""
    source = app.APP / "src" / "main"
    # Gradle takes the package from its own file.
    manifest = (source / "AndroidManifest.xml").read_text()
    named = manifest.replace(_MANIFEST, f'{_MANIFEST}package="{PACKAGE}" ', 1)
    (BUILD / "AndroidManifest.xml").write_text(named)
    compiled, ids = BUILD / "resources.zip", BUILD / "generated"
    tools.run("aapt2", "compile", "--dir", source / "res", "-o", compiled)
    options = ["--min-sdk-version", 26, "--target-sdk-version", 35]
    options += ["--version-code", 1, "--version-name", "1.0"]
    # This `aapt2` is older than the tag `uses-native-library`, which it passes on as it is.
    options += ["--warn-manifest-validation", "-A", source / "assets", "--java", ids]
    options += ["-I", found["resources"][0], "--manifest", BUILD / "AndroidManifest.xml"]
    tools.run("aapt2", "link", *options, "-o", BUILD / "linked.apk", compiled)
    return ids


def make(tools: Tools, found: dict[str, list[Path]], bytecode: Path) -> None:
    """Makes `app.apk`, prints what is in it, and checks it.

    Raises:
        SetupError: If a step fails, or a check.
    """
    whole = BUILD / "whole.apk"
    shutil.copy(BUILD / "linked.apk", whole)
    with zipfile.ZipFile(whole, "a") as archive:
        archive.write(bytecode, "classes.dex", zipfile.ZIP_DEFLATED)
        dictionary = "org/frkeras/archive/dictionary.txt"
        archive.write(jvm.BUILD / "main" / dictionary, dictionary, zipfile.ZIP_DEFLATED)
        for library in found["tflite"]:
            _add_native(library, archive)
    aligned, final = BUILD / "aligned.apk", BUILD / "app.apk"
    tools.run("zipalign", "-f", "-p", 4, whole, aligned)
    _sign(tools, aligned, final)
    _check(tools, final)


def _add_native(library: Path, archive: zipfile.ZipFile) -> None:
    with zipfile.ZipFile(library) as source:
        for name in source.namelist():
            folder, _, rest = name.partition("/")
            if folder == "jni" and rest.endswith(".so") and rest.split("/")[0] in ABIS:
                archive.writestr(f"lib/{rest}", source.read(name), zipfile.ZIP_STORED)


def _sign(tools: Tools, aligned: Path, final: Path) -> None:
    """Signs with a key that is made for this once."""
    store = BUILD / "key.p12"
    store.unlink(missing_ok=True)
    key = ["-keystore", store, "-storetype", "PKCS12", "-storepass", _PASSWORD, "-alias", "key"]
    algorithm = ["-keyalg", "RSA", "-keysize", 2048, "-dname", "CN=throw-away"]
    run([jvm.program("keytool"), "-genkeypair", *key, *algorithm])
    tools.sign("sign", "--ks", store, "--ks-pass", f"pass:{_PASSWORD}", "--out", final, aligned)
    store.unlink()


def _check(tools: Tools, final: Path) -> None:
    badging = tools.run("aapt2", "dump", "badging", final)
    for wanted in (f"package: name='{PACKAGE}'", "sdkVersion:'26'", "targetSdkVersion:'35'"):
        if wanted not in badging:
            raise SetupError(f"the APK must have {wanted}")
    if "uses-permission" in badging:
        raise SetupError("the APK must ask for no permission")
    tools.run("zipalign", "-c", "-p", 4, final)
    print(tools.sign("verify", "--verbose", "--min-sdk-version", 26, final).strip())
    with zipfile.ZipFile(final) as archive:
        sizes = {one.filename: one.compress_size for one in archive.infolist()}
    for abi in ABIS:
        native = [name for name in sizes if name.startswith(f"lib/{abi}/")]
        if len(native) < 2:
            raise SetupError(f"the APK must have TFLite and its GPU delegate for {abi}: {native}")
        print(f"android: {abi}: {', '.join(Path(name).name for name in native)}")
    models = sum(size for name, size in sizes.items() if name.startswith("assets/models/"))
    print(f"android: {final.relative_to(jvm.ROOT)} has {final.stat().st_size:,} bytes, of which")
    print(f"android: {models:,} are the models and {sizes['classes.dex']:,} the classes")


def set_up() -> tuple[dict[str, list[Path]], Tools]:
    """The jars, by use, and Android's programs.

    Raises:
        SetupError: If they cannot be had.
    """
    root = jars.folder().resolve()
    jvm.java()
    return jars.fetch(jars.listed((*jars.MODULE, *USES)), root), Tools.set_up(root)


def work(needed: tuple[dict[str, list[Path]], Tools]) -> bool:
    """Makes the APK, and returns whether the tests of the logic pass on its classes."""
    found, tools = needed
    resources = link(tools, found)
    classes = dex.backport(found, compile_app(found, resources), BUILD)
    print(
        "android: comparing the app and its libraries with the classes of Android 8.0", flush=True
    )
    folder = BUILD / "backported"
    shutil.unpack_archive(classes, folder, "zip")
    api.check(folder, jars.folder().resolve(), GUARDED)
    print("android: the tests of the logic, on the classes that go into the APK", flush=True)
    if not app.run_tests(found, [classes]):
        return False
    make(tools, found, dex.translate(found, classes, BUILD))
    return True


if __name__ == "__main__":
    sys.exit(jars.script(__doc__.splitlines()[0], set_up, work))

"""Makes an APK of compiled classes, resources, models and native libraries, and checks it."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jvm
from jars import SetupError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "devices"))
import packages
from packages import HOST, Archive

#: What the app is made of besides what every module is.
USES = ("android", "resources", "tflite", "dexer")
PACKAGE = "org.frkeras.demo"
ABIS = ("arm64-v8a", "x86_64")
_MANIFEST = "<manifest "
#: What of the packages' dependencies the programs load.
_LIBRARIES = ("android-lib", "libexpat", "libpng", "libprotobuf", "libzopfli", "zlib1g", "p7zip")
_PASSWORD = "throw-away"


@dataclass(frozen=True)
class Tools:
    """The programs of Debian's packages, unpacked in a folder."""

    folder: Path

    @classmethod
    def set_up(cls, root: Path) -> "Tools":
        """Unpacks them, unless they are there.

        Raises:
            SetupError: If the packages cannot be had.
        """
        folder = root / "packages"
        if not folder.exists():
            names = ("aapt", "zipalign", "apksigner")
            print(f"android: packages {', '.join(names)} into {folder}", flush=True)
            try:
                archive = Archive(root / "apt")
                archive.update()
                # Of one release: the libraries of backports do not fit `aapt2`.
                resolved = archive.resolve(names, backports=False)
                wanted = (*names, "libapksig", *_LIBRARIES)
                found = [one for one in resolved if one.name.startswith(wanted)]
                found = [one for one in found if one.name not in HOST]
                partial = root / "packages.partial"
                packages.unpack(archive.download(found), partial)
                partial.rename(folder)
            except packages.SetupError as error:
                raise SetupError(str(error)) from error
            shutil.rmtree(root / "apt", ignore_errors=True)
        return cls(folder)

    def run(self, name: str, *arguments: object) -> str:
        """Returns what a program said."""
        usr = self.folder / "usr"
        triplet = f"{os.uname().machine}-linux-gnu"
        inner = (f"lib/{triplet}/android", f"lib/{triplet}", "lib", "lib/p7zip")
        environment = {"LD_LIBRARY_PATH": ":".join(str(usr / one) for one in inner)}
        program = usr / "lib" / "android-sdk" / "build-tools" / "debian" / name
        return run([str(program), *map(str, arguments)], environment)

    def sign(self, *arguments: object) -> str:
        """Returns what `apksigner` said."""
        java = self.folder / "usr" / "share" / "java"
        classes = jvm.joined([java / "apksigner.jar", java / "apksig.jar"])
        return run([jvm.java(), "-cp", classes, "com.android.apksigner.ApkSignerTool", *arguments])


def run(command: Sequence[object], environment: dict[str, str] | None = None) -> str:
    """Returns what a program said.

    Raises:
        SetupError: If it failed.
    """
    try:
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise SetupError(f"`{command[0]}` is missing") from error
    if done.returncode:
        said = "\n  ".join((done.stdout + done.stderr).splitlines()[-8:])
        raise SetupError(f"`{Path(str(command[0])).name}` failed:\n  {said}")
    return done.stdout


def link(tools: Tools, found: dict[str, list[Path]], app: Path, build: Path) -> Path:
    """Links manifest, resources and assets, and returns the folder of the ids' source."""
    source = app / "src" / "main"
    # Gradle takes the package from its own file.
    manifest = (source / "AndroidManifest.xml").read_text()
    named = manifest.replace(_MANIFEST, f'{_MANIFEST}package="{PACKAGE}" ', 1)
    (build / "AndroidManifest.xml").write_text(named)
    compiled, ids = build / "resources.zip", build / "generated"
    tools.run("aapt2", "compile", "--dir", source / "res", "-o", compiled)
    options = ["--min-sdk-version", 26, "--target-sdk-version", 35]
    options += ["--version-code", 1, "--version-name", "1.0"]
    # This `aapt2` is older than the tag `uses-native-library`, which it passes on as it is.
    options += ["--warn-manifest-validation", "-A", source / "assets", "--java", ids]
    options += ["-I", found["resources"][0], "--manifest", build / "AndroidManifest.xml"]
    tools.run("aapt2", "link", *options, "-o", build / "linked.apk", compiled)
    return ids


def check_classes(classes: Sequence[Path], android: Sequence[Path], build: Path) -> None:
    """Checks that no class names one that neither the app nor Android has.

    Raises:
        SetupError: If one does.
    """
    merged = _merged(classes, build)
    said = run(["jdeps", "--missing-deps", "-cp", jvm.joined(android), merged])
    missing = [line.strip() for line in said.splitlines() if "not found" in line]
    if missing:
        raise SetupError("classes are missing:\n  " + "\n  ".join(missing[:10]))


def make(tools: Tools, found: dict[str, list[Path]], classes: Sequence[Path], build: Path) -> Path:
    """Makes `app.apk`, prints what is in it, and checks it.

    Raises:
        SetupError: If a step fails, or a check.
    """
    merged = build / "merged"
    dex = build / "classes.dex"
    dexer = [jvm.java(), "-Xmx1g", "-cp", found["dexer"][0], "com.android.dx.command.Main"]
    run([*dexer, "--dex", "--min-sdk-version=26", f"--output={dex}", merged])
    whole = build / "whole.apk"
    shutil.copy(build / "linked.apk", whole)
    with zipfile.ZipFile(whole, "a") as archive:
        archive.write(dex, "classes.dex", zipfile.ZIP_DEFLATED)
        dictionary = "org/frkeras/archive/dictionary.txt"
        archive.write(jvm.BUILD / "main" / dictionary, dictionary, zipfile.ZIP_DEFLATED)
        for library in found["tflite"]:
            _add_native(library, archive)
    aligned, final = build / "aligned.apk", build / "app.apk"
    tools.run("zipalign", "-f", "-p", 4, whole, aligned)
    _sign(tools, aligned, final, build)
    _check(tools, final)
    return final


def _merged(classes: Sequence[Path], build: Path) -> Path:
    """All classes in one folder."""
    merged = build / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    for one in classes:
        if one.is_dir():
            shutil.copytree(one, merged, dirs_exist_ok=True)
            continue
        with zipfile.ZipFile(one) as archive:
            names = [name for name in archive.namelist() if name.endswith(".class")]
            archive.extractall(merged, [name for name in names if not name.startswith("META-INF")])
    return merged


def _add_native(library: Path, archive: zipfile.ZipFile) -> None:
    with zipfile.ZipFile(library) as source:
        for name in source.namelist():
            folder, _, rest = name.partition("/")
            if folder == "jni" and rest.endswith(".so") and rest.split("/")[0] in ABIS:
                archive.writestr(f"lib/{rest}", source.read(name), zipfile.ZIP_STORED)


def _sign(tools: Tools, aligned: Path, final: Path, build: Path) -> None:
    """Signs with a key that is made for this once."""
    store = build / "key.p12"
    store.unlink(missing_ok=True)
    key = ["-keystore", store, "-storetype", "PKCS12", "-storepass", _PASSWORD, "-alias", "key"]
    algorithm = ["-keyalg", "RSA", "-keysize", 2048, "-dname", "CN=throw-away"]
    run(["keytool", "-genkeypair", *key, *algorithm])
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

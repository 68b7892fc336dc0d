"""Turns JVM bytecode into Android's bytecode.

ProGuard rewrites code that Android cannot run, such as lambdas made by `invokedynamic`, which
Kotlin's own library contains too. It also refuses classes that refer to a class or a method that
does not exist. Then `dx` translates. In a Gradle build, D8 does all this.
"""

from collections.abc import Sequence
from pathlib import Path

import jvm
import sdk
from jars import SetupError

#: Annotations, which are not there when a program runs.
_ABSENT = "org.jetbrains.annotations.*,org.checkerframework.**,androidx.annotation.*"
# Before 26 `dx` refuses `invokedynamic`: so none is left, and any newer Android takes the rest.
_OLDEST = 24


def backport(found: dict[str, list[Path]], classes: Sequence[Path], build: Path) -> Path:
    """Rewrites classes for Android into one jar.

    Args:
        found: The jars, by use.
        classes: All that the app is made of, folders and jars.
        build: For what this makes.

    Raises:
        SetupError: If one names what is neither among them nor in Android; with the names.
    """
    target, rules = build / "backported.jar", build / "backport.pro"
    # With the resources, which the tests on this jar need, too.
    lines = [f"-injars {one}(!META-INF/**)" for one in classes]
    lines += [f"-outjars {target}", f"-libraryjars {jvm.joined(found['android'])}"]
    lines += [
        f"-libraryjars <java.home>/jmods/java.{part}.jmod(!**.jar;!module-info.class)"
        for part in ("base", "logging")
    ]
    lines += ["-target 1.7", "-dontshrink", "-dontoptimize", "-dontobfuscate", "-dontnote"]
    lines += ["-keepattributes *", f"-dontwarn {_ABSENT}"]
    rules.write_text("\n".join(lines) + "\n")
    classpath = jvm.joined(found["backporter"], found["library"])
    said = sdk.said([jvm.java(), "-Xmx1g", "-cp", classpath, "proguard.ProGuard", f"@{rules}"])
    if said.returncode:
        text = said.stdout + said.stderr
        missing = {line for line in text.splitlines() if "can't find referenced" in line}
        raise SetupError(
            "ProGuard refuses the classes:\n  " + "\n  ".join(sorted(missing)[:10] or [text])
        )
    return target


def translate(found: dict[str, list[Path]], classes: Path, build: Path) -> Path:
    """Makes `classes.dex` of a jar.

    Raises:
        SetupError: If there is something in it that Android does not know.
    """
    dex = build / "classes.dex"
    command = [jvm.java(), "-Xmx1g", "-cp", found["dexer"][0], "com.android.dx.command.Main"]
    sdk.run([*command, "--dex", f"--min-sdk-version={_OLDEST}", f"--output={dex}", classes])
    return dex

"""Resolves, downloads and unpacks Debian packages in a private folder, and installs nothing.

apt runs with a state of its own, so that it needs neither root nor the system's package lists. The
sources of the packages are read from the machine's own apt configuration.
"""

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

#: The packages are taken from this release and its backports, whatever this machine runs.
RELEASE = "bookworm"
#: Every glibc system has these. Two C libraries in one process do not work, so a program of an
#: unpacked package uses this machine's.
HOST = {"libc6", "libgcc-s1", "libstdc++6", "gcc-12-base"}
#: Releases of the archive that has the one above.
_DEBIAN = {"bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"}
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INSTALL = re.compile(r"^Inst (?P<name>[^ :]+)\S* \((?P<version>\S+) .*\[(?P<arch>\w+)\]\)")


class SetupError(RuntimeError):
    """A set-up that cannot be made here; says what it needs."""


@dataclasses.dataclass(frozen=True, order=True)
class Package:
    """A package at one version."""

    name: str
    architecture: str
    version: str


class Archive:
    """The Debian archive, with a private apt state in a folder."""

    def __init__(self, folder: Path):
        for tool in ("apt-get", "apt-config", "dpkg"):
            if shutil.which(tool) is None:
                raise SetupError(
                    f"`{tool}` is missing: the set-ups are made of Debian packages, with the apt "
                    f"and dpkg of Debian 12 ({RELEASE}) or newer"
                )
        self.folder = folder.resolve()
        self.native = run(["dpkg", "--print-architecture"], "dpkg must work").strip()
        for name in ("lists/partial", "archives/partial", "debs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").write_text("")
        (self.folder / "sources.list").write_text(_sources())
        (self.folder / "apt.conf").write_text(self._configuration())

    def update(self) -> None:
        """Reads the package lists."""
        need = "The network and this machine's Debian mirror are needed for the package lists"
        self._apt(need, "update", "-o", "APT::Update::Error-Mode=any")

    def resolve(self, names: Sequence[str], backports: bool = True) -> list[Package]:
        """Returns packages with all that they depend on, of backports where it has them.

        Args:
            names: The packages.
            backports: Whether to take any from there.
        """
        suites = (RELEASE, f"{RELEASE}-backports")[: 1 + backports]
        need = f"The mirror must have {' '.join(names)} in {' or '.join(suites)}"
        said = self._apt(need, "install", "--simulate", "-t", suites[-1], *names)
        found = (_INSTALL.match(line) for line in said.splitlines())
        return sorted(Package(one["name"], one["arch"], one["version"]) for one in found if one)

    def download(self, packages: Iterable[Package]) -> list[Path]:
        """Returns the `.deb` files; those of an earlier try are not fetched again."""
        paths = {one: self.folder / "debs" / _file(one) for one in packages}
        missing = [one for one, path in paths.items() if not path.exists()]
        if missing:
            # In a folder of its own: a file in `debs` is always whole.
            partial = self.folder / "partial"
            partial.mkdir(exist_ok=True)
            need = "The network and this machine's Debian mirror are needed for the packages"
            self._apt(need, "download", *map(_wanted, missing), cwd=partial)
            for one in missing:
                (partial / _file(one)).rename(paths[one])
        return list(paths.values())

    def _apt(self, need: str, *arguments: str, cwd: Path | None = None) -> str:
        environment = {"APT_CONFIG": str(self.folder / "apt.conf")}
        return run(["apt-get", "-q", "-y", *arguments], need, environment, cwd)

    def _configuration(self) -> str:
        """The machine's proxies and the like, and no hook, pinning or state of it."""
        machine = re.findall(
            r"^Acquire::(?!IndexTargets|Changelogs|Languages).*$",
            run(["apt-config", "dump"], "apt must work"),
            re.MULTILINE,
        )
        own = {
            "Dir::State": self.folder,
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder,
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": self.native,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        architectures = dict.fromkeys((self.native, "arm64"))
        lines = [f'{key} "{value}";' for key, value in own.items()]
        lines += [f'APT::Architectures:: "{one}";' for one in architectures]
        return "\n".join(machine + lines) + "\n"


def unpack(files: Iterable[Path], folder: Path) -> None:
    """Unpacks `.deb` files into a folder, without running anything of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        run(["dpkg", "-x", str(path), str(folder)], f"'{folder}' must have room")


def run(
    command: Sequence[str],
    need: str,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Returns what a program printed.

    Args:
        command: The program and its arguments.
        need: What it takes, for the error.
        environment: Variables to set besides this process's.
        cwd: The folder that it runs in.

    Raises:
        SetupError: If it failed; with the last that it said.
    """
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C", **(environment or {})},
        cwd=cwd,
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = "\n  ".join(lines[-6:]) or "it said nothing"
        raise SetupError(f"{need}. `{' '.join(command[:4])} ...` said:\n  {said}")
    return done.stdout


def _sources() -> str:
    """The two suites, from the mirror that this machine uses for Debian."""
    said = run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"], "apt must work")
    for line in said.splitlines():
        release, _, address = line.partition(" ")
        if release in _DEBIAN:
            keys = f"[signed-by={_KEYS}] " if _KEYS.exists() else ""
            suites = (RELEASE, f"{RELEASE}-backports")
            return "".join(f"deb {keys}{address} {suite} main\n" for suite in suites)
    raise SetupError(
        "apt on this machine knows no Debian archive: the set-ups are made of Debian packages, "
        f"so run this on Debian 12 ({RELEASE}) or newer, or in a container of it"
    )


def _file(package: Package) -> str:
    """The name that apt gives to a package's file."""
    return f"{package.name}_{package.version.replace(':', '%3a')}_{package.architecture}.deb"


def _wanted(package: Package) -> str:
    architecture = "" if package.architecture == "all" else f":{package.architecture}"
    return f"{package.name}{architecture}={package.version}"

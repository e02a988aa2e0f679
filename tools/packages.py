"""Fetch pinned packages with the ordinary clients of their registries, and check every byte.

In: `packages.lock`, a cache folder. Out: verified files in `CACHE/downloads/`.
A file counts only once its SHA-256 is the pinned one; it gets its final name by a rename, so an
interrupted download leaves nothing that could be mistaken for a whole file. Files put there by
hand are used like downloaded ones. Standard library only: it runs before anything is installed.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LOCK_PATH = Path(__file__).resolve().parent / "packages.lock"
REGISTRY_NAMES = {"pypi": "the Python package index", "npm": "the npm registry"}


class SetupError(Exception):
    """Something the user has to know; the message says what to do about it."""


class FetchError(SetupError):
    """A package file could not be had; it can be put in place by hand."""


@dataclass(frozen=True)
class Package:
    """One line of the lock file: one file of one package."""

    registry: str
    use: str
    name: str
    version: str
    sha256: str
    file: str

    def fits(self):
        """Whether this machine and interpreter can use the file, judged by its name."""
        if self.registry == "npm" or self.is_source():
            return True
        python_tag, abi_tag, platform_tags = self.wheel_tags()
        if self.use in ("content", "typology", "lemmas"):
            return True
        on_linux = platform.system() == "Linux"
        machine_fits = on_linux and platform_tags.endswith(platform.machine())
        machine_fits = machine_fits or platform_tags == "any"
        if self.use == "library":
            return machine_fits
        interpreter = "cp{}{}".format(*sys.version_info[:2])
        if abi_tag == "abi3":
            # Built for this version of Python and every later one.
            return machine_fits and int(python_tag[len("cp3") :]) <= sys.version_info[1]
        return machine_fits and (python_tag.startswith("py") or python_tag == interpreter)

    def is_source(self):
        """Whether the file is a source distribution: unpacked for its data, never installed."""
        return self.registry == "pypi" and self.file.endswith(".tar.gz")

    def wheel_tags(self):
        """(python, abi, platform) tags of the wheel's file name."""
        return self.file[: -len(".whl")].split("-")[-3:]

    def client_command(self, destination):
        """The command that asks the registry's own client for exactly this file."""
        if self.registry == "npm":
            spec = f"{self.name}@{self.version}"
            return ["npm", "pack", spec, "--silent", "--pack-destination", str(destination)]
        form = "--no-binary=:all:" if self.is_source() else "--only-binary=:all:"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", form]
        command += ["--disable-pip-version-check", "--retries", "2", "--dest", str(destination)]
        if not sys.stdout.isatty():
            command.append("--quiet")
        if self.is_source():
            return [*command, f"{self.name}=={self.version}"]
        python_tag, abi_tag, platform_tags = self.wheel_tags()
        if python_tag.startswith("cp"):
            command += ["--implementation", "cp", "--python-version", python_tag[2:]]
            command += ["--abi", abi_tag]
        if platform_tags != "any":
            # The client prefers what fits the first platform it is given. Of two files that share
            # a tag, only the one that is asked for has the newest one, which stands last.
            for tag in reversed(platform_tags.split(".")):
                command += ["--platform", tag]
        return [*command, f"{self.name}=={self.version}"]


def read_lock():
    """The lock file's packages, in its order."""
    packages = []
    for number, line in enumerate(LOCK_PATH.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 6 or not re.fullmatch(r"[0-9a-f]{64}", parts[4]):
            raise SetupError(f"{LOCK_PATH}:{number}: expected 6 columns with a SHA-256")
        packages.append(Package(*parts))
    return packages


def choose(packages, name):
    """The first file of the named package that fits this machine."""
    candidates = [package for package in packages if package.name == name]
    for package in candidates:
        if package.fits():
            return package
    known = "\n  ".join(package.file for package in candidates)
    raise SetupError(
        f"no file of {name} in {LOCK_PATH.name} fits Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()}; known files:\n  {known}"
    )


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(package, cache):
    """The path of the verified package file; downloads it when it is not there yet."""
    downloads = cache / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    path = downloads / package.file
    if path.exists():
        found = sha256_of(path)
        if found == package.sha256:
            return path
        print(f"  {path} is damaged (sha256 {found}); fetching it again", flush=True)
    print(f"  downloading {package.name} {package.version}", flush=True)
    partial = downloads / f"partial-{package.file}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        run_client(package, partial, downloads)
        found = sha256_of(partial / package.file)
        if found != package.sha256:
            raise SetupError(
                f"{package.file}: the registry sent other bytes than the pinned ones:\n"
                f"  expected sha256 {package.sha256}\n  found    sha256 {found}"
            )
        os.replace(partial / package.file, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def run_client(package, partial, downloads):
    command = package.client_command(partial)
    try:
        client = subprocess.run(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        cause = client.stderr.strip()
    except OSError as error:
        cause = str(error)
    if (partial / package.file).exists():
        return
    last_lines = "\n  ".join(cause.splitlines()[-2:])
    raise FetchError(
        f"could not fetch {package.name} {package.version} from "
        f"{REGISTRY_NAMES[package.registry]}.\n"
        f"What the client said:\n  {last_lines or 'nothing'}\n"
        f"Without a network, put the file\n  {package.file}\n  sha256 {package.sha256}\n"
        f"into\n  {downloads}\nand run the same command again."
    )

"""Builds the wheel: the package, the declarations from the C header, and the library itself.

The library is the file that POLYGRAFT_LIBRARY names, else the one that cargo makes of this
repository as a release without the command. Symbols for debuggers are left out. A wheel therefore belongs to one platform, but to no version of Python.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import declarations  # noqa: E402  (it lies beside this file, which is not on the path before)

# What cargo calls the library, and the name under which it is loaded.
LIBRARY_NAMES = {
    "linux": ("libpolygraft.so", "libpolygraft.so.0"),
    "darwin": ("libpolygraft.dylib", "libpolygraft.0.dylib"),
    "win32": ("polygraft.dll", "polygraft.dll"),
}


def crate_version():
    """The version of the crate, which is that of the wheel."""
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "([^"]+)"', manifest, flags=re.MULTILINE).group(1)


def built_library(cargo_name):
    """The library to put into the wheel."""
    given = os.environ.get("POLYGRAFT_LIBRARY")
    if given:
        path = Path(given)
        if not path.is_file():
            raise SystemExit(f"POLYGRAFT_LIBRARY: expected a library, found no file at {path}")
        return path
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "build", "--release", "--locked", "--lib"]
    command += ["--no-default-features", "--features", "html"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / cargo_name


class BuildPackage(build_py):
    """Adds the declarations and the library to the package."""

    def run(self):
        # What an earlier build left there may be gone from the sources.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        package = Path(self.build_lib) / "polygraft"
        declarations.write(package / "_declarations.py")
        cargo_name, loaded_name = LIBRARY_NAMES[sys.platform]
        native = package / "_native"
        native.mkdir(exist_ok=True)
        copied = shutil.copyfile(built_library(cargo_name), native / loaded_name)
        strip = shutil.which("strip") if sys.platform == "linux" else None
        if strip:
            subprocess.run([strip, "--strip-unneeded", copied], check=True)


class PlatformWheel(bdist_wheel):
    """Tags the wheel by its platform alone."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class BinaryDistribution(Distribution):
    """A distribution with compiled code in it, which no extension module declares."""

    def has_ext_modules(self):
        return True


# What setuptools writes on the way stays out of the source tree.
BUILDING = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "python" / "building"
BUILDING.mkdir(parents=True, exist_ok=True)

setup(
    version=crate_version(),
    options={"build": {"build_base": str(BUILDING)}, "egg_info": {"egg_base": str(BUILDING)}},
    cmdclass={"build_py": BuildPackage, "bdist_wheel": PlatformWheel},
    distclass=BinaryDistribution,
)

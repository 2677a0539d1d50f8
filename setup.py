"""Compiles the hot modules with mypyc when the wheel is built; everything else is in pyproject.toml.

Without a C compiler, or with CHECKREIN_PURE=1, the wheel is pure Python: it works alike, slower, and
`checkrein version` says so. Which modules are hot is listed in src/checkrein/hot.py.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent


def compiler_works() -> bool:
    """Whether a C compiler and Python's headers are here: an empty extension is tried."""
    command = (sysconfig.get_config_var("CC") or "cc").split()
    if shutil.which(command[0]) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nint probe(void) { return 0; }\n")
        include = [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
        done = subprocess.run(
            [*command, *include, "-c", str(source), "-o", str(Path(folder, "probe.o"))], capture_output=True
        )
        return done.returncode == 0


def say(text: str) -> None:
    print(f"checkrein: {text}", file=sys.stderr)


class Build(build_ext):
    """Builds the compiled modules; when the compiler fails all the same, the wheel is pure."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            say(f"compiling failed ({error}); building pure Python")
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []


def extensions() -> list:
    if os.environ.get("CHECKREIN_PURE") == "1":
        say("CHECKREIN_PURE=1: building pure Python")
        return []
    if not compiler_works():
        say("no working C compiler: building pure Python, which is slower")
        return []
    from mypyc.build import mypycify

    hot = runpy.run_path(str(ROOT / "src/checkrein/hot.py"))["hot_files"]()
    os.environ["MYPYPATH"] = str(ROOT / "src")
    options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent", "--explicit-package-bases"]
    paths = [str(path.relative_to(ROOT)) for path in hot]
    made = mypycify([*options, *paths], opt_level="3", group_name="checkrein_hot")
    if sys.platform == "linux":  # what one module calls of another is called straight, not through a table
        for extension in made:
            extension.extra_compile_args += ["-fno-semantic-interposition"]
            extension.extra_link_args += ["-Wl,-Bsymbolic"]
    return made


os.chdir(ROOT)
setup(ext_modules=extensions(), cmdclass={"build_ext": Build})

"""Hatch's hook: compile what is compiled while the package is built, or say that Faultline does without it.

The extensions are optional: where no C compiler is found, the reference paths in Python give the same.
Run by itself (`python .ci/build_decoder.py`) it compiles in place, after a change, if Cython is installed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CompileError

ROOT = Path(__file__).parent.parent
MODULES = (
    "ingest.decoders._otlp",
    "ingest.decoders._flat",
    "ingest.redaction._screen",
    "ingest._shapes",
    "ingest._tally",
)


def compiled(
    root: Path, options: tuple[str, ...] = ("-O3",), modules: tuple[str, ...] = MODULES
) -> list[Path]:
    """Return the extensions' paths below `root`, compiled; distutils' errors where that is not possible."""
    return [_compiled(root, options, module) for module in modules]


def _compiled(root: Path, options: tuple[str, ...], module: str) -> Path:
    source = (ROOT / module.replace(".", "/")).with_suffix(".pyx")
    with tempfile.TemporaryDirectory() as scratch:
        extension = Extension(module, [str(source)], extra_compile_args=list(options))
        modules = cythonize([extension], build_dir=scratch, force=True, quiet=True)
        command = build_ext(Distribution({"name": "faultline", "ext_modules": modules}))
        command.build_lib = command.build_temp = scratch
        command.ensure_finalized()
        command.run()
        built = Path(command.get_ext_fullpath(module))
        target = root / source.parent.relative_to(ROOT) / built.name
        # Written over in place, it would kill every process that has it loaded.
        fresh = target.with_suffix(".new")
        shutil.copyfile(built, fresh)
        fresh.replace(target)
    return target


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by itself
    BuildHookInterface = object


class CustomBuildHook(BuildHookInterface):
    """Adds the extensions to a wheel, or puts them beside their sources for an editable installation."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compile; a failure leaves a package for every platform, without it."""
        try:
            targets = compiled(ROOT)
        except (BaseError, CompileError, OSError) as error:
            print(f"Nothing was compiled, the reference paths in Python are used: {error}", file=sys.stderr)
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] += [f"/{target.relative_to(ROOT).as_posix()}" for target in targets]


if __name__ == "__main__":
    print(*compiled(ROOT, tuple(sys.argv[1:]) or ("-O3",)), sep="\n")

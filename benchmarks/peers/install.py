"""Install other toolkits into one folder each, without their dependencies, so that all use the same torch and numpy.

fast-reid's evaluator is compiled here (it needs a C compiler), pyppbox-torchreid comes compiled, torchreid falls back
to Python, as it does for most users.

usage: python benchmarks/peers/install.py FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "torchreid": ["torchreid==0.2.5"],
    "torchvision": ["torchvision==0.28.0"],  # of torch 2.13, for torchreid's FeatureExtractor
    "pyppbox": ["pyppbox-torchreid==1.4.1.0"],
    "fastreid": ["fastreid==1.4.0", "faiss-cpu"],
}
BUILD_TOOLS = ["cython", "setuptools"]


def pip(target: Path, packages: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), *packages]
    subprocess.run(command, check=True)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    for name, packages in PACKAGES.items():
        pip(folder / name, packages)
    pip(folder / "build", BUILD_TOOLS)
    compiled = folder / "fastreid" / "fastreid" / "evaluation" / "rank_cylib"
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, check=True, cwd=compiled, env={**os.environ, "PYTHONPATH": str(folder / "build")})


if __name__ == "__main__":
    main()

"""Build the wheel, install it alone, and run the README's quickstart without network: it must print what is shown.

Nothing may be compiled: dependencies are installed from wheels only. Takes minutes, most of them for the installation;
needs Linux (`unshare` cuts the network) and 2 GB of disk.

usage: python scripts/check_wheel.py [FOLDER]      (default: a temporary one)
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = ("unshare", "--map-root-user", "--net")


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def tracked() -> set[str]:
    """Return the files of the package that are under version control, relative to ``src``."""
    listed = run("git", "ls-files", "src/passerby", cwd=ROOT).split()
    return {name.removeprefix("src/") for name in listed}


def check_content(wheel: Path) -> str:
    """Check that the wheel holds the package's files, its licenses, and nothing else; return what it holds in words."""
    if not wheel.name.endswith("-py3-none-any.whl"):
        sys.exit(f"{wheel.name} is for one platform: something was compiled")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    package = {name for name in names if ".dist-info/" not in name}
    if package != tracked():
        sys.exit(f"the wheel and git differ in {', '.join(sorted(package ^ tracked()))}")
    weights = {name.rpartition("/")[0] for name in package if "weights/shipped/" in name or name.endswith(".onnx")}
    licenses = {name.partition("/licenses/")[2] for name in names - package}
    lacking = [place for place in weights if not any(name.startswith(f"src/{place}/LICENSE") for name in licenses)]
    if lacking or "LICENSE" not in licenses:
        sys.exit(f"the wheel lacks the license of {', '.join(lacking) or 'the package'}")
    return f"{wheel.name}: {len(package)} files, {wheel.stat().st_size / 1e6:.1f} MB"


def quickstart() -> tuple[str, str]:
    """Return the README's code and the output that it shows."""
    text = (ROOT / "README.md").read_text().partition("## Quickstart")[2]
    found = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1], found[2]


def main(folder: Path) -> None:
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    print(check_content(wheel))  # noqa: T201
    run(sys.executable, "-m", "venv", folder / "venv")
    programs = folder / "venv/bin"
    run(programs / "pip", "install", "--quiet", "--only-binary", ":all:", "-c", ROOT / "constraints.txt", wheel)
    code, shown = quickstart()
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)}
    print(run(*NO_NETWORK, programs / "passerby", "demo", cwd=folder, env=environment).splitlines()[-1])  # noqa: T201
    printed = run(*NO_NETWORK, programs / "python", "-c", code, cwd=folder, env=environment)
    if printed != shown:
        sys.exit("".join(difflib.unified_diff(shown.splitlines(True), printed.splitlines(True), "README", "printed")))
    print("The quickstart prints what the README shows.")  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))

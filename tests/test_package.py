import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pypptp

ROOT = Path(__file__).resolve().parent.parent


def test_version_is_the_one_in_the_metadata() -> None:
    assert version("pypptp") == pypptp.__version__


def test_wheel_holds_every_module_and_the_type_marker(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("pypptp", "cli"):
        shutil.copytree(ROOT / folder, sources / folder, ignore=ignore)
    for file in ROOT.iterdir():
        if file.is_file() and file.name in {"pyproject.toml", "LICENSE", "README.md"}:
            shutil.copy(file, sources)

    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, sources], check=True)

    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "pypptp").rglob("*.py")}
    wanted |= {str(path.relative_to(ROOT / "cli")) for path in (ROOT / "cli").rglob("*.py")}
    assert wanted | {"pypptp/py.typed"} <= shipped

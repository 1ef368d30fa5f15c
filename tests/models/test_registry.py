"""The registry of models imports no more than it needs."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("kornia", "sklearn", "scipy", "pytorch_metric_learning", "matplotlib", "pyarrow", "torchvision")


def test_listing_models_imports_no_heavy_package() -> None:
    code = (
        "import sys; from passerby.models.registry import list_models, model_size; "
        "assert model_size(list_models()[0]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

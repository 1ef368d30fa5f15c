"""Find the file that a source of weights names: a file, a run folder, in the package, or on the Hugging Face hub.

Without torch.
"""

from __future__ import annotations

from pathlib import Path

from passerby.errors import WeightsError, first_line
from passerby.weights.catalog import MODEL_FILE as MODEL_FILE
from passerby.weights.catalog import shipped


def find_file(source: str | Path) -> tuple[Path, str]:
    """Return the file that ``source`` names, and what stands behind its ``#``.

    Raises:
        WeightsError: if there is none.
    """
    text = str(source)
    if text.startswith("hf:"):
        name, _, part = text[3:].partition("#")
        return _from_hub(name), part
    if (folder := shipped(text)) is not None:
        return folder / MODEL_FILE, ""
    if (path := _existing(text)) is not None:
        return path, ""
    place, _, part = text.rpartition("#")
    if place and (path := _existing(place)) is not None:
        return path, part
    if _is_unfinished(text):
        raise WeightsError(f"'{text}' is a run without {MODEL_FILE}. Fix: finish it with `passerby train --resume`")
    raise WeightsError(
        f"no checkpoint at '{text}'. Fix: give a .safetensors or .pth file, a run folder, or hf:owner/name"
    )


def _existing(text: str) -> Path | None:
    try:
        path = Path(text).expanduser()
        if path.is_dir() and (path / MODEL_FILE).is_file():
            return path / MODEL_FILE
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long a name, an unknown user's home, a NUL
        return None


def _is_unfinished(text: str) -> bool:
    try:
        return (Path(text).expanduser() / "config.json").is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file or MODEL_FILE))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise WeightsError(
            f"hf:{name} could not be fetched ({first_line(error)}). "
            "Fix: check the name and the network, or fetch the file and give its path"
        ) from None

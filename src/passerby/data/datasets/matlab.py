"""Read MATLAB files, the format of annotations and splits of older benchmarks."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np

from passerby.data.source import Source
from passerby.errors import DatasetLayoutError

_HDF5 = b"MATLAB 7.3"


def read_mat(source: Source, name: str) -> dict[str, Any]:
    """Return the variables of a ``.mat`` file up to version 7: structs as dictionaries, cells as lists.

    An array with one row or one column becomes flat.

    Raises:
        DatasetLayoutError: if the file is damaged, does not exist, or is of version 7.3 (HDF5).
    """
    from scipy.io import loadmat  # slow to import, and few need it

    content = source.read(name)
    if content.startswith(_HDF5):
        raise DatasetLayoutError(f"{source.root}: {name} is of MATLAB 7.3. Fix: save it with -v7")
    try:
        whole = loadmat(cast(Any, io.BytesIO(content)))
    except Exception as error:  # noqa: BLE001 - scipy documents no exceptions
        raise DatasetLayoutError(
            f"{source.root}: {name} is not a readable .mat file ({error}). Fix: fetch it again"
        ) from None
    return {key: _plain(value) for key, value in whole.items() if not key.startswith("__")}


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names:
        items = [{field: _plain(item[field]) for field in value.dtype.names} for item in value.ravel()]
        return items[0] if len(items) == 1 else items
    if value.dtype == object:
        return [_plain(item) for item in value.ravel()]
    if value.dtype.kind in "US":
        return str(value[0]) if value.size == 1 else [str(item) for item in value.ravel()]
    return value.ravel() if value.ndim == 2 and 1 in value.shape else value

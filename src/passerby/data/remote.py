"""Object storage as a source: the files below an address such as ``s3://bucket/people``, by fsspec.

fsspec brings ``file://`` and ``memory://``; others need a package (``s3fs`` for ``s3://``, ``gcsfs`` for ``gs://``) and
take keys and endpoints from its own settings and environment variables. Keys never stand in an address: addresses are
kept in galleries and shown in errors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from passerby.data.provenance import is_generated_set
from passerby.data.source import SETTINGS, StoredSource, is_image
from passerby.data.walk import is_in_skipped_folder
from passerby.errors import DatasetLayoutError

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def is_address(text: str | Path) -> bool:
    """Return whether a text is an address of files, ``SCHEME://…``.

    >>> is_address("s3://bucket/people"), is_address("people"), is_address("C://people")
    (True, False, False)
    """
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


class RemoteSource(StoredSource):
    """The files below an address; its file system is opened once per process, and files are listed once.

    Args:
        address: ``SCHEME://…``, a folder.

    Raises:
        DatasetLayoutError: if the address has ``@``, ``?`` or ``#``, as one with a key in it; or no package reads its
            scheme.
    """

    def __init__(self, address: str) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None or any(mark in match["rest"] for mark in "@?#"):
            raise DatasetLayoutError(
                "an address of files is SCHEME://PLACE/FOLDER without user, password and query, which would be stored "
                "with it: expected none of @, ? and #. Fix: give keys by "
                "the environment variables or the settings of the storage's package"
            )
        self._address = address.rstrip("/") if match["rest"].strip("/") else address
        super().__init__(Path(self._address))
        self._files = _file_system(match["scheme"].lower())
        self._inside = str(self._files._strip_protocol(self._address))
        self._names: tuple[str, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self._address}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["address"])

    @property
    def place(self) -> str:
        """The address."""
        return self._address

    def names(self) -> tuple[str, ...]:
        if self._names is None:
            self._names = self._checked(tuple(self._listed()))
        return self._names

    def has(self, name: str) -> bool:
        try:
            return bool(self._files.isfile(self._path(name)))
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            raise self._unreachable(error) from None

    def read(self, name: str) -> bytes:
        try:
            return bytes(self._files.cat_file(self._path(name)))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise self.missing(name) from None
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            raise DatasetLayoutError(
                f"{self._address}: {name!r} cannot be read ({_reason(error)}). Fix: check the storage and the keys"
            ) from None

    def missing(self, name: str) -> DatasetLayoutError:
        return DatasetLayoutError(f"{self._address} has no file {name!r}. Fix: give a name that it has")

    @property
    def is_synthetic(self) -> bool:
        """A flag of addresses below which all images are those of the settings beside them."""
        try:
            settings = self.sidecar(SETTINGS)
        except DatasetLayoutError:  # what cannot be read proves nothing
            return False
        # a root without parents: settings of folders around the address are not looked for
        return is_generated_set(Path("/"), settings, SETTINGS, filter(is_image, self.names()))

    def _path(self, name: str) -> str:
        return f"{self._inside.rstrip('/')}/{name}"

    def _listed(self) -> list[str]:
        try:
            found = self._files.find(self._inside)
            is_file = self._files.isfile(self._inside)
        except FileNotFoundError:
            found, is_file = [], False
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            raise self._unreachable(error) from None
        if is_file:
            raise DatasetLayoutError(f"{self._address} is a file. Fix: give its folder; unpack archives first")
        start = len(self._inside.rstrip("/")) + 1
        names = sorted(str(path)[start:] for path in found)
        if not names:
            raise DatasetLayoutError(f"there are no files below {self._address}. Fix: check the address")
        return [name for name in names if not is_in_skipped_folder(name)]

    def _unreachable(self, error: Exception) -> DatasetLayoutError:
        return DatasetLayoutError(
            f"{self._address} cannot be listed ({_reason(error)}). Fix: check the address, the keys and the network"
        )


def _file_system(scheme: str) -> Any:
    import fsspec

    try:
        return fsspec.filesystem(scheme)
    except ValueError:
        known = ", ".join(f"{name}://" for name in ("file", "s3", "gs", "az"))
        raise DatasetLayoutError(f"no storage has addresses {scheme}://. Fix: use one of {known}") from None
    except ImportError as error:
        raise DatasetLayoutError(
            f"addresses {scheme}:// need a package that is not installed ({_reason(error)}). Fix: install it"
        ) from None


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

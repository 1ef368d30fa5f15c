"""Whether a gallery's embeddings can be compared with those of queries: same model, same options, same keypoints.

A pose network can look at any image: a query whose parts would be cut by other keypoints is an error where a network
found the gallery's, since using that network is all it takes. Annotations exist for their own images only: a query from
elsewhere cannot have them, so it is searched for, and a warning says what was compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

from passerby.data.keypoints.origin import KeypointOrigin
from passerby.errors import ConfigError, WeightsError
from passerby.inference.embeddings_file import Origin, StoredEmbeddings

_LOG = logging.getLogger(__name__)


def check_same_model(stored: StoredEmbeddings, own: Origin) -> Origin:
    """Check that stored embeddings were made as a model makes them, and return what they were made by.

    Args:
        own: what the model would record (:meth:`~passerby.inference.model.Model.origin`).

    Raises:
        WeightsError: if another model made them, it predicts other attributes, or the file does not record the model.
        ConfigError: if options differ that decide embeddings or distances.
    """
    file, origin = stored.file, stored.origin
    if origin is None:
        raise WeightsError(
            f"'{file}' does not record which model embedded it, so it cannot be searched. Fix: embed the images with "
            f"passerby embed RUN FOLDER -o {file} --overwrite"
        )

    def again(options: str = "") -> str:
        return f"embed again with passerby embed RUN {origin.root} -o {file}{options} --overwrite"

    _check_same_origin(str(file), origin, own, again)
    return origin


def check_same_model_of_store(folder: str, origin: Origin, own: Origin) -> None:
    """Check that the rows of a gallery on disk were made as a model makes them (raises as :func:`check_same_model`)."""

    def again(options: str = "") -> str:
        return f"add the images to a new gallery: passerby gallery create RUN FOLDER{options}, passerby gallery add"

    _check_same_origin(folder, origin, own, again)


def _check_same_origin(file: str, origin: Origin, own: Origin, again: Callable[..., str]) -> None:
    """Check what made a gallery; ``again`` says how to make it anew, with options."""
    if origin.fingerprint != own.fingerprint:
        raise WeightsError(
            f"'{file}' was embedded by another model: got {origin.model} (fingerprint {origin.fingerprint}), expected "
            f"{own.model} ({own.fingerprint}), so distances would be meaningless. Fix: search with the run that "
            f"embedded it, or {again()}"
        )
    if origin.attributes and origin.attributes != own.attributes:
        names = ", ".join(name for name, _ in origin.attributes)
        raise WeightsError(f"'{file}' has other attributes than this run: got {names}. Fix: {again()}")
    names_of_options = [name for name in ("flip_tta", "normalize") if getattr(origin, name) != getattr(own, name)]
    if names_of_options:
        raise _other_options(file, origin, own, names_of_options, again)


def _other_options(file: str, origin: Origin, own: Origin, names: list[str], again: Callable[..., str]) -> ConfigError:
    theirs, ours = (_options({name: getattr(each, name) for name in names}) for each in (origin, own))
    keywords = ", ".join(f"{name}={getattr(origin, name)}" for name in names)
    return ConfigError(
        f"'{file}' was embedded with {theirs}, but this search is with {ours}, so distances would be meaningless. "
        f"Fix: search with {theirs} (in Python: passerby.load(RUN, {keywords})), or {again(f' {ours}')}"
    )


def _options(values: dict[str, bool]) -> str:
    """Return options as they are typed: ``--flip-tta --no-normalize``."""
    return " ".join(f"--{name if on else f'no-{name}'}".replace("_", "-") for name, on in values.items())


def check_same_keypoints(gallery: KeypointOrigin | None, query: KeypointOrigin | None, place: str) -> None:
    """Check that a query's parts are cut by the keypoints that cut those of the gallery at ``place``.

    Raises:
        ConfigError: if a network found the gallery's keypoints, and the query's would be others.
    """
    if gallery is None or query is None or gallery.same_as(query):
        return
    if not gallery.fingerprint:
        _warn_other_keypoints(place, str(gallery), str(query))
        return
    again = f"embed the gallery again: passerby embed RUN {place} -o FILE.parquet --overwrite"
    same = f"search with --keypoints {gallery.name} (in Python: passerby.load(RUN, keypoints={gallery.name!r})), or "
    raise ConfigError(
        f"the gallery's parts were cut by other keypoints than the query's: got {query}, expected {gallery}. "
        f"Fix: {again if gallery.name == query.name else same + again}"
    )


@lru_cache(maxsize=1024)
def _warn_other_keypoints(place: str, gallery: str, query: str) -> None:
    """Warn once for all queries alike."""
    _LOG.warning(
        "%s: the gallery's parts were cut by other keypoints (%s) than the query's (%s), which makes distances less "
        "reliable. Fix: passerby embed and search with --keypoints network",
        place,
        gallery,
        query,
    )


@lru_cache(maxsize=1024)
def warn_unknown_keypoints(file: str) -> None:
    """Warn once per file that it was written before galleries recorded their keypoints."""
    _LOG.warning(
        "'%s' was written by an older passerby and does not record which keypoints cut its images; queries may be cut "
        "by others. Fix: embed again",
        file,
    )

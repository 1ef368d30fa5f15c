"""Whose joints cut a gallery's pictures, and whether a query is cut by the same.

A network can look at any picture: a query that another network, or somebody's annotations, would cut is refused where a
network cut the gallery, since asking that network is all it takes. Annotations are of their own pictures alone: a query
from elsewhere cannot have them, so that it is searched for, and a line of the log says what was compared.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from passerby.data.keypoints.origin import KeypointOrigin
from passerby.data.source import Source
from passerby.errors import ConfigError
from passerby.inference.model import Model

_LOG = logging.getLogger(__name__)


def uses_keypoints(model: Model) -> bool:
    """Whether its model sees parts that joints decide."""
    return "parts" in model.card.inputs and model.parts.get("by", "pose") == "pose"


def keypoints_of(model: Model, source: Source) -> KeypointOrigin | None:
    """Whose joints cut a source's pictures; ``None`` where none do."""
    return model.keypoint_origin(source)


def check_same_keypoints(gallery: KeypointOrigin | None, query: KeypointOrigin | None, place: str) -> None:
    """Refuse a query that is cut by other joints than the gallery at ``place``, or say it (see above).

    Raises:
        ConfigError: if a network cut the gallery, and the query would be cut otherwise.
    """
    if gallery is None or query is None or gallery.same_as(query):
        return
    if not gallery.fingerprint:
        _warn_other_keypoints(place, str(gallery), str(query))
        return
    again = f"embed the gallery again: passerby embed RUN {place} -o FILE.parquet --overwrite"
    ask = f"search with --poses {gallery.name} (in Python: passerby.load(RUN, keypoints={gallery.name!r})), or "
    raise ConfigError(
        f"the gallery's parts were cut by other joints ({gallery}) than the query's would be ({query}), so distances "
        f"would mean little; {again if gallery.name == query.name else ask + again}"
    )


@lru_cache(maxsize=1024)
def _warn_other_keypoints(place: str, gallery: str, query: str) -> None:
    """Once for all queries alike."""
    _LOG.warning(
        "%s: the gallery's parts were cut by other joints (%s) than the query's (%s), so distances are less sure (cut "
        "both by one network: passerby embed and search with --poses network)",
        place,
        gallery,
        query,
    )


@lru_cache(maxsize=1024)
def warn_unknown_keypoints(path: str) -> None:
    """Of a file that was written before galleries remembered their joints; once for each."""
    _LOG.warning(
        "%s is of an older passerby and does not say whose joints cut its pictures, so that queries may be cut "
        "otherwise; embed it again to be sure",
        path,
    )

"""Queries of a gallery on disk: images and rows, pooled, and moved by what is known of the person.

Several images of one person are pooled as in evaluation (:mod:`passerby.evaluation.multi_query`) by the ``mean`` of
their embeddings, L2-normalized first where the gallery's are compared so; ``max`` keeps all of them, and a row is as
near as it is to the nearest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize as unit

from passerby.data.images.open import QueryImage
from passerby.errors import ConfigError, ProtocolError
from passerby.gallery.asking.ask import Ask
from passerby.gallery.store.reader import Reader
from passerby.inference.model import Model
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.retrieval.expansion import move_queries
from passerby.types import Embeddings


def queries_of(model: Model, store: Reader, images: Sequence[QueryImage], how: Ask) -> Embeddings:
    """Return the queries that are compared, one or, pooled by ``max``, several.

    Raises:
        ConfigError: if a row does not exist.
        ProtocolError: if the gallery stores no stripes, but its distance needs them; or a moved query has no direction.
    """
    if how.distance != "global" and store.manifest.stripes is None:
        raise ProtocolError(
            f"distance {how.distance!r} needs stripe vectors, which '{store.path}' does not store. Fix: create a "
            "gallery with --stripes, of a model that has them, and add the images"
        )
    with_local = how.distance != "global"
    parts = [model.embed_samples(each.source, [each.sample], with_local=with_local) for each in images]
    if how.like_ids:
        parts.append(rows_of(store, how.like_ids, with_local=with_local))
    whole = Embeddings.concatenate(parts)
    whole = Embeddings(whole.embedding.detach().float().cpu(), whole.paths, local=whole.local)
    normalize = store.manifest.origin.normalize
    if how.combine == "mean" and len(whole) > 1:
        whole = pooled(whole, normalize=normalize)
    if how.moves:
        near, far = (rows_of(store, each).embedding for each in (how.positives, how.negatives))
        whole = replace(whole, embedding=move_queries(whole.embedding, near, far, normalize=normalize))
    return whole


def pooled(queries: Embeddings, *, normalize: bool) -> Embeddings:
    """Return the mean of some queries as one."""
    rows = l2_normalize(queries.embedding) if normalize else queries.embedding
    local = None if queries.local is None else unit(queries.local.float().mean(0, keepdim=True), dim=2)
    return Embeddings(rows.mean(0, keepdim=True), ("",), local=local)


def rows_of(store: Reader, ids: Collection[int], *, with_local: bool = False) -> Embeddings:
    """Return rows of a gallery by their IDs, in that order.

    Raises:
        ConfigError: if one does not exist.
    """
    store.refresh()
    return store.undamaged(lambda: _rows_of(store, list(ids), with_local=with_local))


def _rows_of(store: Reader, ids: Sequence[int], *, with_local: bool) -> Embeddings:
    found: dict[int, tuple[Tensor, Tensor | None]] = {}
    wanted = np.array(sorted(set(ids)), np.int64)
    for shard in store.shards:
        places = np.flatnonzero(np.isin(shard.ids, wanted))
        if len(places):
            local = shard.part("local")[torch.from_numpy(places)] if with_local else [None] * len(places)
            rows = zip(shard.ids[places].tolist(), shard.embeddings(places), local, strict=True)
            found |= {row: (embedding, stripes) for row, embedding, stripes in rows}
    if absent := [row for row in ids if row not in found]:
        raise ConfigError(f"no row has the ID {absent[0]}. Fix: take IDs that a search shows")
    empty = torch.empty(0, store.manifest.dimensions)
    embedding = torch.stack([found[row][0] for row in ids]) if ids else empty
    stripes = [each for row in ids if (each := found[row][1]) is not None]
    return Embeddings(embedding, ("",) * len(ids), local=torch.stack(stripes) if stripes else None)


def stripe_shape(model: Model) -> tuple[int, int]:
    """Return the number of stripe vectors of an image and their length, as a gray image has them.

    Raises:
        ConfigError: if the model has none.
    """
    if "local" not in model.card.distances:
        raise ConfigError(
            f"{model.card.name} has no stripe vectors, got distances {', '.join(model.card.distances)}. Fix: create "
            "the gallery without them, or take a model that has them, such as aligned_reid"
        )
    height, width = model.size
    local = model.embed(np.full((height, width, 3), 128, np.uint8), with_local=True).local
    assert local is not None
    return int(local.shape[1]), int(local.shape[2])

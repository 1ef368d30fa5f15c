"""The single-shot protocol against plain Python, one draw and one query after another."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from passerby.errors import ProtocolError
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.single_shot import DRAWS, candidates_by_camera, sample_one_per_group, single_shot
from passerby.types import Embeddings, Protocol, Role

ONCE = Protocol(name="single", draws=30, seed=3, normalize=False)
P, J, D = Role.PERSON, Role.JUNK, Role.DISTRACTOR


def make(features: Tensor, people: list[tuple[int, int, Role]]) -> Embeddings:
    pids, camids, roles = (torch.tensor([int(p[i]) for p in people]) for i in range(3))
    return Embeddings(features, tuple(str(i) for i in range(len(people))), pids, camids, roles)


def crowd(seed: int = 0) -> Embeddings:
    """Return twelve people by three cameras, one to three images by each; some are seen by one camera only."""
    generator = Generator().manual_seed(seed)
    people = [
        (pid, camid, P)
        for pid in range(12)
        for camid in range(1 + (pid == 11), 2 if pid == 10 else 4)
        for _ in range(1 + (pid + camid) % 3)
    ]
    people += [(0, 2, D), (0, 2, D), (5, 1, J)]
    return make(torch.randn(len(people), 4, generator=generator, dtype=torch.float64), people)


def literal(query: Embeddings, gallery: Embeddings, rows: Tensor, camera: int) -> list[int]:
    """Return the rank of each query of a camera among the rows drawn for it."""
    assert query.pids is not None
    assert query.camids is not None
    assert query.roles is not None
    assert gallery.pids is not None
    assert gallery.roles is not None
    ranks = []
    for q in range(len(query)):
        if query.camids[q] != camera or query.roles[q] != P:
            continue
        far = {int(j): float(((query.embedding[q] - gallery.embedding[j]) ** 2).sum()) for j in rows}
        match = [j for j in far if gallery.roles[j] == P and gallery.pids[j] == query.pids[q]]
        assert len(match) <= 1, "one image per person"
        ranks += [1 + sum(d < far[j] for d in far.values()) for j in match]
    return ranks


def test_every_draw_equals_plain_python() -> None:
    both = crowd()
    found = single_shot(both, both, ONCE, max_rank=50)
    shots = candidates_by_camera(both, both, ONCE)
    curves = []
    for draw in range(ONCE.draws):
        generator = Generator().manual_seed(ONCE.seed * 1_000_003 + draw)
        ranks = [
            rank
            for camera, some in shots.items()
            for rank in literal(both, both, some.gallery[sample_one_per_group(some.groups, generator)], camera)
        ]
        assert len(ranks) == found.queries
        curves.append([sum(rank <= k for rank in ranks) / len(ranks) for k in range(1, found.curves.shape[1] + 1)])
    assert torch.allclose(found.curves, torch.tensor(curves, dtype=torch.float64))
    assert found.curves[:, 0].std() > 0, "draws differ"


def test_a_draw_has_one_image_of_each_person_by_another_camera() -> None:
    both = crowd()
    assert both.pids is not None
    assert both.camids is not None
    assert both.roles is not None
    for camera, some in candidates_by_camera(both, both, ONCE).items():
        rows = some.gallery[sample_one_per_group(some.groups, Generator().manual_seed(0))]
        persons = rows[both.roles[rows] == P]
        expected = {
            int(p) for p, c, r in zip(both.pids, both.camids, both.roles, strict=True) if r == P and c != camera
        }
        assert sorted(both.pids[persons].tolist()) == sorted(expected)
        assert (both.camids[rows] != camera).all()
        assert (both.roles[rows] == D).sum() == (0 if camera == 2 else 2), "distractors all stay"
        assert not (both.roles[rows] == J).any()


def test_images_are_drawn_uniformly() -> None:
    groups, generator = torch.tensor([0, 1, 0, 2, 0, 1]), Generator().manual_seed(0)
    counts = torch.zeros(6)
    for _ in range(3000):
        counts[sample_one_per_group(groups, generator)] += 1
    assert counts[3] == 3000
    assert torch.allclose(counts / 3000, torch.tensor([1 / 3, 1 / 2, 1 / 3, 1, 1 / 3, 1 / 2]), atol=0.04)


def test_with_one_image_per_person_it_is_the_whole_gallery() -> None:
    features = torch.randn(40, 5, generator=Generator().manual_seed(1), dtype=torch.float64)
    query = make(features[:20], [(pid, 1, P) for pid in range(20)])
    gallery = make(features[20:], [(pid, 2, P) for pid in range(20)])
    once, whole = (evaluate_embeddings(query, gallery, replace(ONCE, draws=draws)) for draws in (5, 0))
    assert once.cmc == pytest.approx(whole.cmc)
    assert once.details["rank1_deviation"] == 0
    assert (once.queries, once.gallery) == (whole.queries, whole.gallery) == (20, 20)


def test_the_seed_decides_and_there_is_no_average_precision() -> None:
    both = crowd()
    results = [evaluate_embeddings(both, both, replace(ONCE, seed=seed)) for seed in (3, 3, 4)]
    assert results[0] == results[1]
    assert results[0].cmc != results[2].cmc
    read = json.loads(json.dumps(results[0].to_dict()))
    assert (read["mean_ap"], read["minp"]) == (None, None)
    assert read["queries_dropped"] == len(both) - read["queries"]
    assert read["details"]["gallery_by_query_camera"] == {"1": 13, "2": 12, "3": 14}
    assert Protocol(**read["protocol"]) == ONCE
    assert "drawn" not in str(Protocol())
    assert "mean of 30 draws (seed 3), no AP" in str(ONCE)
    assert DRAWS == 100


def test_invalid_inputs_raise() -> None:
    both = crowd()
    with pytest.raises(ProtocolError, match="name the cameras"):
        evaluate_embeddings(replace(both, camids=None), both, ONCE)
    with pytest.raises(ProtocolError, match="ignore_same_camera"):
        evaluate_embeddings(both, both, replace(ONCE, ignore_same_camera=False))
    with pytest.raises(ProtocolError, match="unlabeled"):
        evaluate_embeddings(replace(both, pids=None), both, ONCE)
    with pytest.raises(ProtocolError, match="got -1"):
        evaluate_embeddings(both, both, replace(ONCE, draws=-1))
    alone = make(torch.ones(2, 2), [(1, 1, P), (1, 1, P)])
    with pytest.raises(ProtocolError, match="has a valid match"):
        evaluate_embeddings(alone, alone, ONCE)

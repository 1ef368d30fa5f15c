"""Golden parameter counts: AaP-ReID (Gautam et al., 2023), Tables 2 and 3, to the unit.

The papers print two decimals of a million, mostly cut; a model that differs by one parameter is another model.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from passerby.models import registry
from passerby.models.card import CARD_CLASSES
from passerby.models.registry import create_model, list_models, model_card, model_size

MARKET, DUKE, CUHK03 = 751, 702, 767
BASELINE = {"last_stride": 2, "band": False, "attention": "none"}
BAND = {"attention": "none"}
CWA_ALL = {"attention_stages": (1, 2, 3, 4)}

TABLE_2 = [
    ("aligned_reid", {}, (25_313_199, 25_212_798, 25_345_983)),
    ("aap_reid", BASELINE, (25_313_199, 25_212_798, 25_345_983)),
    ("aap_reid", {**BASELINE, "last_stride": 1}, (25_313_199, 25_212_798, 25_345_983)),
    ("aap_reid", BAND, (25_317_295, 25_216_894, 25_350_079)),
    ("aap_reid", CWA_ALL, (27_850_175, 27_749_774, 27_882_959)),
    ("aap_reid", {}, (27_691_183, 27_590_782, 27_723_967)),
]
TABLE_3 = {
    "resnet18": {"bam": 11_801_235, "sp": 11_717_491, "eca": 11_629_507, "cwa_add": 11_713_231, "cwa_mul": 11_713_231},
    "resnet34": {"bam": 22_047_352, "sp": 21_896_248, "eca": 21_737_692, "cwa_add": 21_888_751, "cwa_mul": 21_888_751},
    "resnet50": {"bam": 30_205_624, "sp": 27_831_736, "eca": 25_317_346, "cwa_add": 27_691_183, "cwa_mul": 27_691_183},
    "resnet101": {"bam": 53_825_033, "sp": 49_202_249, "eca": 44_309_559, "cwa_add": 48_932_207, "cwa_mul": 48_932_207},
}
CASES = [
    (name, {"backbone": "resnet50", **options}, classes, count)
    for name, options, counts in TABLE_2
    for classes, count in zip((MARKET, DUKE, CUHK03), counts, strict=True)
] + [
    ("aap_reid", {"backbone": backbone, "attention": attention}, MARKET, count)
    for backbone, row in TABLE_3.items()
    for attention, count in row.items()
]


@pytest.mark.parametrize(("name", "options", "classes", "count"), CASES)
def test_parameter_counts_equal_the_papers(name: str, options: dict[str, object], classes: int, count: int) -> None:
    with torch.device("meta"):
        model = create_model(name, num_classes=classes, **options)
    assert model.parameter_count() == count


@pytest.mark.parametrize("name", list_models())
def test_the_numbers_on_every_card_are_those_of_the_built_model(name: str) -> None:
    card = model_card(name)
    with torch.device("meta"):
        model = create_model(name, num_classes=CARD_CLASSES)
    assert (card.embedding_size, card.parameters) == (model.embedding_size, model.parameter_count())


def test_the_size_of_a_model_is_read_from_its_card_without_building_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "create_model", lambda *_, **__: pytest.fail("built a model"))
    assert model_size("aap_reid") == (2048, 27_691_183)


def test_a_model_without_numbers_on_its_card_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(model_card("osnet_x0_25"), embedding_size=None, parameters=None)
    monkeypatch.setattr(registry.MODELS["osnet_x0_25"], "card", bare)
    assert model_size("osnet_x0_25") == (512, 587_127)

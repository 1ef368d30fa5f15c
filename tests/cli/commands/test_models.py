from __future__ import annotations

from passerby.models.registry import create_model, list_models
from passerby.weights.catalog import CATALOG, weights_size


def test_every_model_is_in_the_table(run) -> None:
    done = run("models")
    assert done.code == 0
    rows = {line.split()[0]: line for line in done.out.splitlines()[1:] if line}
    assert set(list_models()) <= set(rows)
    parameters = f"{create_model('aap_reid', num_classes=751).parameter_count():,}"
    assert "256×128" in rows["aap_reid"]
    assert rows["aap_reid"].split()[-2:] == ["2048", parameters]


def test_the_weights_in_the_package_are_listed_with_license_and_origin(run) -> None:
    lines = run("models").out.splitlines()
    for name, entry in CATALOG.items():
        place = lines.index(f"{name}: {entry.about}")
        size = weights_size(name) / 1e6
        assert lines[place + 1] == f"  {size:.1f} MB, license {entry.license}; started from {entry.credit}"

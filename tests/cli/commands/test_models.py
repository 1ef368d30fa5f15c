from __future__ import annotations

from passerby.models.registry import create_model, list_models


def test_every_model_is_in_the_table(run) -> None:
    done = run("models")
    assert done.code == 0
    rows = {line.split()[0]: line for line in done.out.splitlines()[1:]}
    assert set(list_models()) <= set(rows)
    parameters = f"{create_model('aap_reid', num_classes=751).parameter_count():,}"
    assert "256×128" in rows["aap_reid"]
    assert rows["aap_reid"].split()[-2:] == ["2048", parameters]

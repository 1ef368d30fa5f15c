"""A model's state reads back, also one that an earlier version wrote with other names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from passerby.compat import former_tensor_name
from passerby.models.registry import create_model


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_state_with_former_tensor_names_loads(wrapped: bool) -> None:
    source, target = (create_model("strong_baseline", num_classes=3, backbone="mobilenet_v2") for _ in range(2))
    state = {former_tensor_name(name): tensor.clone() for name, tensor in source.state_dict().items()}
    assert any(name.startswith("trunk.") for name in state)
    if wrapped:  # as processes that train together keep a model
        nn.ModuleDict({"module": target}).load_state_dict({f"module.{name}": t for name, t in state.items()})
    else:
        target.load_state_dict(state)
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name


def test_an_unknown_tensor_name_is_still_an_error() -> None:
    model = create_model("strong_baseline", num_classes=3, backbone="mobilenet_v2")
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict({**model.state_dict(), "stem.weight": torch.zeros(1)})

"""The renderer: a scene and its people become pixels and exact labels."""

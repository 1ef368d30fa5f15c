"""Twins of a synthetic dataset: people with the same colors and different details."""

from __future__ import annotations

import csv
import io

from passerby.data.source import ATTRIBUTES, Source
from passerby.errors import DatasetLayoutError


def twin_groups(source: Source) -> dict[int, int]:
    """Return the twin group of each person who has one, by person ID.

    Raises:
        DatasetLayoutError: if the source has no ``attributes.csv`` that names the groups.
    """
    content = source.sidecar(ATTRIBUTES)
    if content is None:
        raise DatasetLayoutError(
            f"{source.root} has no {ATTRIBUTES}: twins are known of synthetic people only. Fix: use a dataset that "
            "passerby data synthesize wrote"
        )
    rows = csv.DictReader(io.StringIO(content.decode()))
    try:
        return {int(row["person"]): int(row["twin_group"]) for row in rows if row["twin_group"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {ATTRIBUTES} has no columns person and twin_group of whole numbers ({error})"
        ) from None

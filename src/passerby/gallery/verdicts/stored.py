"""The verdicts of a gallery on disk: its own calibration, which is kept in it, and the check of one version of it."""

from __future__ import annotations

from collections.abc import Iterable

from passerby.gallery.feedback.notes import OwnCalibration
from passerby.gallery.store import Store
from passerby.gallery.verdicts.check import DomainCheck
from passerby.gallery.verdicts.own import Answer, FromPairs, calibrate_rows
from passerby.gallery.verdicts.rows import Rows
from passerby.metrics.calibration import Calibration, parse_calibration
from passerby.metrics.probability import Method


class StoredVerdicts:
    """The calibration of a gallery on disk, and whether it holds.

    Args:
        store: the gallery.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._checked: tuple[object, DomainCheck] | None = None

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of the gallery by its own pairs; ``None`` if it has none.

        Raises:
            ConfigError: if it is none that this passerby reads.
            DatasetLayoutError: if its file is damaged.
        """
        values, fix = self._kept.values, f"passerby gallery feedback {self.store.path} --drop calibration"
        return parse_calibration(values, f"the calibration of '{self.store.path}'", fix=fix) if values else None

    def calibrate(self, answers: Iterable[Answer], *, method: Method = "logistic", seed: int = 0) -> FromPairs:
        """Calibrate the gallery by its own pairs; searches in it use that, and not the run's calibration, from then on.

        Args:
            answers: the IDs of two rows each, and whether they show the same person.
            method: the regression, isotonic or logistic.
            seed: random seed of the halves that it is measured on.

        Raises:
            ConfigError: if a row does not exist.
            ProtocolError: if there are too few pairs.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        store, given = self.store, list(answers)
        store.refresh()

        def fitted() -> FromPairs:
            rows = Rows.of_shards(store.shards)
            return calibrate_rows(rows, given, store.manifest, place=str(store.path), method=method, seed=seed)

        found = store.undamaged(fitted)
        note = OwnCalibration(
            values=found.calibration.to_dict(),
            confirmed=found.confirmed,
            rejected=found.rejected,
            kind=found.kind,
            same=found.same,
        )
        store.change_note("calibration", lambda *_: note)
        return found

    def check(self, of_run: Calibration | None) -> DomainCheck | None:
        """Return whether the gallery's own calibration, or else the run's, holds for its images; ``None`` without one.

        It is made anew when images or the calibration have changed.
        """
        own = self.calibration
        calibration = own or of_run
        if calibration is None:
            return None
        at = self.store.manifest.shards, calibration
        if self._checked is None or self._checked[0] != at:
            seed, same = int(self.store.manifest.gallery[:8], 16), self._kept.same

            def made() -> DomainCheck:
                rows = Rows.of_shards(self.store.shards)
                return DomainCheck.of(rows, calibration, seed=seed, own=own is not None, same=same)

            self._checked = at, self.store.undamaged(made)
        return self._checked[1]

    @property
    def _kept(self) -> OwnCalibration:
        note = self.store.note("calibration")
        assert isinstance(note, OwnCalibration)
        return note

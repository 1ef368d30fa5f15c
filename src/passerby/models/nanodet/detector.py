"""A NanoDet in an ONNX file, run by onnxruntime: the one in the package, or one of a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passerby.data.video.boxes import Floats
from passerby.data.video.detector import Detections
from passerby.data.video.opencv import import_opencv
from passerby.errors import ConfigError, WeightsError, first_line
from passerby.models.nanodet.decode import Level, decode

SHIPPED = Path(__file__).parent / "shipped" / "nanodet_416.onnx"
"""The detector in the package."""
_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
_DEVIATION = np.array([57.375, 57.12, 58.395], np.float32)
"""The mean and the standard deviation of blue, green and red that the input is normalized by."""
_BINS = range(8, 18)
"""The numbers of bins of a side that are told from numbers of classes."""
_KIND = (
    "a NanoDet with input (1, 3, s, s), and per stride an output (1, (s / stride)², classes) after the sigmoid, class "
    "0 a person, and one (1, (s / stride)², 4 · bins)"
)


class NanoDet:
    """A detector of people.

    Args:
        file: an ONNX file of the same family; the package's by default.
        threads: the number of threads of onnxruntime.

    Raises:
        ConfigError: if the extra ``onnx`` or ``video`` is not installed.
        WeightsError: if the file does not exist, cannot be run, or is no NanoDet.
    """

    def __init__(self, file: str | Path | None = None, *, threads: int = 1) -> None:
        self.file = Path(file).expanduser() if file is not None else SHIPPED
        self._cv2 = import_opencv()
        self._session = _started(self.file, threads)
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else None
        if shape is None or len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not isinstance(shape[2], int):
            raise _other(self.file, f"inputs {[(each.name, each.shape) for each in inputs]}")
        self.size: int = shape[2]
        """The side of the square input in pixels."""
        self._name = inputs[0].name

    def __call__(self, frame: NDArray[np.uint8]) -> Detections:
        """Return the people in a frame ``(h, w, 3)``, RGB.

        Raises:
            WeightsError: if the file's outputs are not those of a NanoDet.
        """
        pixels, scale = self.prepared(frame)
        try:
            outputs = self._session.run(None, {self._name: pixels})
        except Exception as error:  # noqa: BLE001 - onnxruntime's own, which have no common base
            raise WeightsError(f"'{self.file}' cannot be run ({first_line(error)}). Fix: export it again") from None
        return decode(self.levels(outputs), self.size, scale)

    def prepared(self, frame: NDArray[np.uint8]) -> tuple[Floats, float]:
        """Return the input ``(1, 3, s, s)``, the frame at its upper left, black beside it, and its scale."""
        height, width = frame.shape[:2]
        scale = self.size / max(height, width)
        sides = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = self._cv2.INTER_AREA if scale < 0.5 else self._cv2.INTER_LINEAR
        small = self._cv2.resize(np.ascontiguousarray(frame[:, :, ::-1]), sides, interpolation=how)
        square = np.zeros((self.size, self.size, 3), np.float32)
        square[: sides[1], : sides[0]] = small
        normalized = (square - _MEAN) / _DEVIATION
        return np.ascontiguousarray(normalized.transpose(2, 0, 1)[None]), scale

    def levels(self, outputs: list[Any]) -> list[Level]:
        """Pair the outputs by their stride.

        Raises:
            WeightsError: if they are not those of a NanoDet.
        """
        by_cells: dict[int, list[Floats]] = {}
        for output in outputs:
            if output.ndim != 3 or len(output) != 1:
                raise _other(self.file, f"an output of shape {output.shape}")
            by_cells.setdefault(output.shape[1], []).append(output[0])
        levels = []
        for cells, pair in sorted(by_cells.items(), reverse=True):
            sides = [each for each in pair if each.shape[1] % 4 == 0 and each.shape[1] // 4 in _BINS]
            scores = [each for each in pair if not any(each is other for other in sides)]
            across = round(cells**0.5)
            if len(sides) != 1 or len(scores) != 1 or across**2 != cells or self.size % across:
                raise _other(self.file, f"outputs of {cells} cells with {[each.shape[1] for each in pair]} values")
            levels.append(Level(self.size // across, scores[0][:, 0], sides[0]))
        return levels


def _started(file: Path, threads: int) -> Any:
    from passerby.weights.onnx_file import import_package

    if not file.is_file():
        raise WeightsError(f"there is no detector '{file}'. Fix: give the path of an ONNX file")
    try:
        runtime = import_package("onnxruntime")
    except ConfigError as error:
        raise ConfigError(f"finding people in videos needs onnxruntime: {error}") from None
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's own, which have no common base
        raise WeightsError(
            f"'{file}' cannot be read as a detector ({first_line(error)}). Fix: give an ONNX file, {_KIND}"
        ) from None


def _other(file: Path, got: str) -> WeightsError:
    return WeightsError(f"'{file}' is not a detector of a known kind: got {got}, expected {_KIND}. Fix: export it so")

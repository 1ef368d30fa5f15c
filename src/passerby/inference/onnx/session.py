"""An ONNX file of ``passerby export`` as a :class:`~passerby.inference.session.Session`, run by onnxruntime.

The file stands alone: it describes its model (:class:`OnnxDescription`), so that embedding, evaluation and search need
no run folder. Its fingerprint is that of the run, as its embeddings are, which the export checked: galleries and
calibrations of one serve the other. A file in int8 makes embeddings of its own, and has a fingerprint of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError
from torch import Tensor

from passerby.config import first_fault
from passerby.data.attributes.schema import Attribute, Schema
from passerby.errors import ConfigError, PasserbyError, WeightsError, first_line
from passerby.limits import MAX_SEED, wrong_size
from passerby.metrics.calibration import Calibration, parse_calibration
from passerby.metrics.single_shot import MAX_DRAWS
from passerby.models.card import ModelCard
from passerby.types import Distance, ModelOutput
from passerby.weights.onnx_file import OnnxFile, import_package, read_onnx

Precision = Literal["float32", "float16", "int8"]
"""The precision of a file: ``float16`` stores weights in half precision, ``int8`` computes most convolutions so."""
FORMAT = 1
"""The version of the description."""
EMBEDDING, RAW, LOCAL, ATTRIBUTES = "embedding", "raw_embedding", "local", "attributes"
"""The names of the outputs; ``raw_embedding`` exists where ``embedding`` is L2-normalized."""
IMAGES = "images"
_FROM_RUN = "Fix: export the run again"
_MOST_DIMENSIONS = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class CardDescription(_Part):
    """The facts of the model (:class:`~passerby.models.card.ModelCard`)."""

    name: StrictStr
    paper: StrictStr
    input_size: tuple[StrictInt, StrictInt]
    distances: tuple[Distance, ...]
    normalize: StrictBool


class SchemaDescription(_Part):
    """The attributes that the model predicts (:class:`~passerby.data.attributes.schema.Schema`)."""

    name: StrictStr
    columns: tuple[StrictStr, ...]
    groups: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, schema: Schema) -> SchemaDescription:
        """Describe a schema."""
        groups = tuple(
            {"name": each.name, "values": list(each.values), "columns": list(each.columns), "gaps": each.gaps}
            for each in schema.groups
        )
        return cls(name=schema.name, columns=schema.columns, groups=groups)

    def build(self) -> Schema:
        """Return the schema.

        Raises:
            ConfigError, KeyError, TypeError: if the description is not one.
        """
        groups = tuple(
            Attribute(str(each["name"]), tuple(each["values"]), tuple(each["columns"]), bool(each["gaps"]))
            for each in self.groups
        )
        return Schema(self.name, groups, self.columns)


class EvaluationDescription(_Part):
    """The way embeddings are made and compared."""

    flip_tta: StrictBool
    normalize: StrictBool
    distance: Distance
    draws: StrictInt | None = Field(None, ge=0, le=MAX_DRAWS)
    seed: StrictInt = Field(0, ge=0, le=MAX_SEED)


class OnnxDescription(_Part):
    """The description of its model that an ONNX file holds."""

    format: StrictInt
    passerby: StrictStr
    """The version of passerby that exported it."""
    card: CardDescription
    backbone: StrictStr | None
    size: tuple[StrictInt, StrictInt]
    embedding_size: StrictInt = Field(ge=1, le=_MOST_DIMENSIONS)
    precision: Precision
    digest: StrictStr = Field(pattern="^[0-9a-f]{64}$")
    """The digest of the run's weights and size, and of the file where it is ``int8``; its first 16 digits are the
    fingerprint."""
    fingerprint: StrictStr
    normalization: StrictStr
    """The normalization of pixels inside the file, for a reader to know."""
    evaluation: EvaluationDescription
    attributes: SchemaDescription | None
    calibration: dict[str, Any] | None
    license: StrictStr | None
    """The license of the weights, as the exporter gave it."""
    parity: dict[str, Any]
    """The measured agreement with the network."""


class OnnxSession:
    """A network in an ONNX file, run by onnxruntime.

    Args:
        path: the file.
        device: ``auto`` or ``cpu``; ``cuda`` where onnxruntime was built for it.

    Raises:
        WeightsError: if the file was not exported by passerby, is damaged, or cannot be run.
        ConfigError: if a package of the extra ``onnx`` is missing, or the device cannot be used.
    """

    def __init__(self, path: str | Path, device: str = "auto") -> None:
        self.file = read_onnx(Path(path))
        self.about = _described(self.file)
        self.device, providers = _providers(device)
        self._run, self._outputs = _started(self.file, providers)
        card = self.about.card
        self.card = ModelCard(
            name=card.name,
            paper=card.paper,
            input_size=card.input_size,
            distances=card.distances,
            normalize=card.normalize,
            embedding_size=self.about.embedding_size,
        )
        self.embedding_size = self.about.embedding_size
        self.schema, self.calibration = _schema(self), _calibration(self)
        self._raw = RAW if RAW in self._outputs else EMBEDDING
        needed = {
            self._raw,
            *([ATTRIBUTES] if self.schema else []),
            *([] if card.distances == ("global",) else [LOCAL]),
        }
        if not needed <= {*self._outputs}:
            raise self._unfit(f"outputs {', '.join(self._outputs)}", ", ".join(sorted(needed)))

    def run(self, images: Tensor, parts: Tensor | None = None) -> ModelOutput:  # noqa: ARG002 - models of parts are not exported
        """Return the embedding as the network made it, stripes if it has them, and logarithms of probabilities.

        Raises:
            WeightsError: if the file cannot be run, or its outputs are not those that it describes.
        """
        pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())
        wanted = [name for name in (self._raw, LOCAL, ATTRIBUTES) if name in self._outputs]
        try:
            arrays = self._run(wanted, {IMAGES: pixels})
        except Exception as error:  # noqa: BLE001 - onnxruntime's own, which have no common base
            raise WeightsError(f"'{self.file.path}' cannot be run ({first_line(error)}). {_FROM_RUN}") from None
        found = {name: self._checked(name, array, len(pixels)) for name, array in zip(wanted, arrays, strict=True)}
        embedding = found[self._raw]
        return ModelOutput(embedding, embedding, local=found.get(LOCAL), attributes=self._scores(found))

    def digest(self, salt: str) -> str:
        """Return the digest of the run for its own size as ``salt``, so that both have one fingerprint."""
        if salt == str(tuple(self.about.size)):
            return self.about.digest
        return hashlib.sha256(f"{self.about.digest} {salt}".encode()).hexdigest()

    def _checked(self, name: str, array: Any, images: int) -> Tensor:
        """Return an output as a tensor, if it is what the description promises."""
        expected = {self._raw: (self.embedding_size,), ATTRIBUTES: (self.schema.logits if self.schema else 0,)}
        rest = expected.get(name, array.shape[1:] if array.ndim == 3 else ())
        if array.dtype != np.float32 or array.shape != (images, *rest):
            raise self._unfit(f"output {name} of {array.dtype} {array.shape}", f"float32 {(images, *rest)}")
        return torch.from_numpy(array)

    def _scores(self, found: dict[str, Tensor]) -> tuple[Tensor, ...] | None:
        """Return scores of each group, whose softmax are the file's probabilities."""
        if self.schema is None:
            return None
        return tuple(found[ATTRIBUTES][:, part].log() for part in self.schema.slices)

    def _unfit(self, got: str, expected: str) -> WeightsError:
        return WeightsError(
            f"'{self.file.path}' does not fit its description: got {got}, expected {expected}. {_FROM_RUN}"
        )


def _described(file: OnnxFile) -> OnnxDescription:
    version = file.about.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise WeightsError(f"'{file.path}' has format {version}, expected at most {FORMAT}. Fix: update passerby")
    try:
        about = OnnxDescription.model_validate(file.about)
    except ValidationError as error:
        raise _bad(file, first_fault(error)) from None
    if fault := wrong_size(about.size):
        raise _bad(file, f"size: {fault}")
    if not about.card.distances:
        raise _bad(file, "card.distances: got none")
    return about


def _bad(file: OnnxFile, why: str) -> WeightsError:
    return WeightsError(f"'{file.path}' has a damaged description ({why}). {_FROM_RUN}")


def _schema(session: OnnxSession) -> Schema | None:
    found = session.about.attributes
    try:
        return None if found is None else found.build()
    except (PasserbyError, KeyError, TypeError) as error:
        raise _bad(session.file, f"attributes: {first_line(error)}") from None


def _calibration(session: OnnxSession) -> Calibration | None:
    found = session.about.calibration
    if found is None:
        return None
    return parse_calibration(found, str(session.file.path), fix="export the run again")


def _providers(device: str) -> tuple[torch.device, list[Any]]:
    """Return the device and what onnxruntime calls it.

    Raises:
        ConfigError: if it cannot be used.
    """
    runtime = import_package("onnxruntime")
    kind, _, number = device.partition(":")
    if device in ("auto", "cpu"):
        return torch.device("cpu"), ["CPUExecutionProvider"]
    known = runtime.get_available_providers()
    if kind == "cuda" and (number.isdecimal() or not number) and "CUDAExecutionProvider" in known:
        return torch.device(device), [("CUDAExecutionProvider", {"device_id": int(number or 0)})]
    raise ConfigError(
        f"device {device!r} cannot be used for an ONNX file: onnxruntime has {', '.join(known)} here. "
        "Fix: use 'cpu', or install onnxruntime-gpu for 'cuda'"
    )


def _started(file: OnnxFile, providers: list[Any]) -> tuple[Any, list[str]]:
    """Return the function that runs the file, and the names of its outputs."""
    runtime = import_package("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what matters becomes an error
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(file.content, options, providers=providers)
    except Exception as error:  # noqa: BLE001 - onnxruntime's own, which have no common base
        raise WeightsError(f"'{file.path}' cannot be run ({first_line(error)}). {_FROM_RUN}") from None
    inputs = [(each.name, each.type, len(each.shape)) for each in session.get_inputs()]
    if inputs != [(IMAGES, "tensor(uint8)", 4)]:
        raise WeightsError(f"'{file.path}' takes {inputs}, expected {IMAGES}, uint8 (b, h, w, 3). {_FROM_RUN}")
    return session.run, [each.name for each in session.get_outputs()]

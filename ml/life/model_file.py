"""One model in one file: skops' format, which is data and no code, read with a closed list of types.

skops itself trusts every estimator of scikit-learn; a file of ours needs a handful of types, and any
other is refused by name before anything is built. Sizes are limited as well, so that a small file
cannot unfold to fill the memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any, Final

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from ml.life.packing import PackingError, pack, unpack

MOST_BYTES: Final = 256 * 2**20  # unfolded
MOST_ENTRIES: Final = 200_000
SCHEMA: Final = "schema.json"
_HGB: Final = "sklearn.ensemble._hist_gradient_boosting"

# Everything that a model file may name: (type, how skops builds it).
TRUSTED: Final = frozenset(
    {
        ("builtins.dict", "DictNode"),
        ("builtins.list", "ListNode"),
        ("builtins.tuple", "TupleNode"),
        ("builtins.slice", "SliceNode"),
        ("builtins.str", "JsonNode"),
        ("builtins.str", "TypeNode"),
        ("builtins.bytes", "BytesNode"),
        ("numpy.ndarray", "NdArrayNode"),
        *((f"numpy.{kind}", "NdArrayNode") for kind in ("uint64", "int64", "float64", "bool")),
        *((f"numpy.{kind}", "TypeNode") for kind in ("float64", "float32", "int64", "uint8")),
        ("numpy.random._generator.Generator", "RandomGeneratorNode"),
        (f"{_HGB}.gradient_boosting.HistGradientBoostingRegressor", "ObjectNode"),
        (f"{_HGB}.gradient_boosting.HistGradientBoostingClassifier", "ObjectNode"),
        (f"{_HGB}.binning._BinMapper", "ObjectNode"),
        (f"{_HGB}.predictor.TreePredictor", "ObjectNode"),
        ("sklearn._loss._loss.CyPinballLoss", "LossNode"),
        ("sklearn._loss._loss.CyAbsoluteError", "LossNode"),
        ("sklearn._loss._loss.CyHalfBinomialLoss", "LossNode"),
        ("sklearn._loss.loss.PinballLoss", "ObjectNode"),
        ("sklearn._loss.loss.AbsoluteError", "ObjectNode"),
        ("sklearn._loss.loss.HalfBinomialLoss", "ObjectNode"),
        ("sklearn._loss.link.LogitLink", "ObjectNode"),
        ("sklearn._loss.link.IdentityLink", "ObjectNode"),
        ("sklearn._loss.link.Interval", "ObjectNode"),
        ("sklearn.preprocessing._label.LabelEncoder", "ObjectNode"),
    }
)
# Of these, what skops does not trust by itself and must be told.
_TOLD: Final = [name for name, loader in TRUSTED if loader in ("ObjectNode", "LossNode")]


class ModelFileError(ValueError):
    """A file that is not loaded, with the reason."""


def dumps(kept: Any) -> bytes:
    """The file of a model (a tree that `ml.life.packing.pack` can make). ModelFileError if it cannot be
    kept: what `loads` would refuse is never written.
    """
    try:
        data: bytes = skops.io.dumps(pack(kept), compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    except PackingError as error:
        raise ModelFileError(str(error)) from error
    _check_types(data)
    return data


def loads(data: bytes) -> Any:
    """The model in a file. ModelFileError when it is damaged, too large, or names other types."""
    _check_types(data)
    try:
        return unpack(skops.io.loads(data, trusted=_TOLD))
    except PackingError as error:
        raise ModelFileError(str(error)) from error
    except UntrustedTypesFoundException as error:
        raise ModelFileError(f"it holds types that are not trusted: {error}") from error
    except Exception as error:  # whatever a damaged file makes the reader stumble over
        raise ModelFileError(f"it cannot be read ({type(error).__name__}: {error})") from error


def sha256(data: bytes) -> str:
    """The file's SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _check_types(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ENTRIES or sum(e.file_size for e in entries) > MOST_BYTES:
                raise ModelFileError(
                    f"it unfolds to more than {MOST_BYTES >> 20} MiB or {MOST_ENTRIES} parts"
                )
            schema = json.loads(archive.read(SCHEMA))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"it is no model file or is damaged ({error})") from error
    odd = sorted({f"{name} ({loader})" for name, loader in _types(schema)} - _TRUSTED_TEXT)
    if odd:
        raise ModelFileError(
            f"it names types that models do not have: {', '.join(odd[:5])}; nothing was loaded"
        )


_TRUSTED_TEXT: Final = frozenset(f"{name} ({loader})" for name, loader in TRUSTED)


def _types(schema: Any) -> set[tuple[str, str]]:
    """Every (type, loader) in a schema. Not recursive: the nesting is the file's."""
    found: set[tuple[str, str]] = set()
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node or "__module__" in node:
                name = f"{node.get('__module__')}.{node.get('__class__')}"
                found.add((name, str(node.get("__loader__"))))
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return found

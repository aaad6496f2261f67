"""A version as MLCommons Croissant 1.0 describes datasets, so that other tools load it.

The examples are one JSON array, as readers of JSON lines take subjects such as "007" for numbers.
Examples and inputs are two record sets, which a reader joins by the payload's name: the reference
implementation cannot read a file set in the way of the one and a JSON file in that of the other.

The folder that an export makes:

    croissant.json    this description
    manifest.json     what the version was built from and by
    rows.json         the examples: subject, label, split, and name and digest of the payload
    payloads/<hex>    each input, named by its SHA-256
"""

from collections.abc import Iterable
from typing import Any, Final

from burnish.datasets.model import Dataset, Row
from burnish.kernel.digest import canonical, digest, hexadecimal
from burnish.kernel.policy import ModelPolicy

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.0"
ROWS: Final = "rows.json"
MANIFEST: Final = "manifest.json"
PAYLOADS: Final = "payloads"
_TERMS: Final = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes"
    " isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace"
    " samplingRate separator source subField transform"
)
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
}


def exported(row: Row) -> dict[str, str]:
    """Return an example as a line of the export holds it."""
    return {
        "subject": row.subject,
        "label": row.label,
        "split": row.split.value,
        "payload": hexadecimal(row.payload_sha256),
        "payload_sha256": row.payload_sha256,
    }


def array(rows: Iterable[Row]) -> bytes:
    """Return the bytes of `rows.json`, an example a line."""
    return b"[\n" + b",\n".join(canonical(exported(row)) for row in rows) + b"\n]\n"


def describe(
    dataset: Dataset, policy: ModelPolicy, *, rows: bytes, manifest: bytes, withheld: int
) -> dict[str, Any]:
    """Return the description of an export.

    Args:
        dataset: the version.
        policy: by which it was built.
        rows: the bytes of `rows.json`.
        manifest: the bytes of `manifest.json`.
        withheld: examples of the holdout that the export leaves out.
    """
    held = f" Its holdout of {withheld} examples is withheld." if withheld else ""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": f"{dataset.model}-{dataset.number}",
        "description": f"Version {dataset.number} of the training set of {dataset.model}, made of"
        f" corrections from production: {', '.join(policy.labels)}.{held}",
        "version": f"{dataset.number}.0.0",
        "identifier": dataset.digest,
        "datePublished": dataset.created_at.isoformat(),
        "license": "The license is up to the owner of the data.",
        "creator": {"@type": "sc:Organization", "name": "Burnish"},
        "url": f"urn:burnish:{dataset.id}",
        "distribution": [
            _file("rows", ROWS, "application/json", rows),
            _file("manifest", MANIFEST, "application/json", manifest),
            {
                "@type": "cr:FileSet",
                "@id": "payloads",
                "name": "payloads",
                "description": "The inputs, each named by its SHA-256.",
                "encodingFormat": "image/jpeg",
                "includes": f"{PAYLOADS}/*",
            },
        ],
        "recordSet": [_splits(), _labels(policy), _inputs(), _examples()],
    }


def _file(id_: str, name: str, encoding: str, data: bytes) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": id_,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": encoding,
        "sha256": hexadecimal(digest(data)),
    }


def _splits() -> dict[str, Any]:
    roles = {
        "train": "cr:TrainingSplit",
        "validation": "cr:ValidationSplit",
        "holdout": "cr:TestSplit",
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            _field("splits/name", "sc:Text"),
            _field("splits/role", "sc:URL"),
        ],
        "data": [{"splits/name": name, "splits/role": role} for name, role in roles.items()],
    }


def _labels(policy: ModelPolicy) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "dataType": "sc:Enumeration",
        "key": {"@id": "labels/name"},
        "field": [_field("labels/name", "sc:Text")],
        "data": [{"labels/name": label} for label in policy.labels],
    }


def _examples() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "examples",
        "name": "examples",
        "description": "One judged thing each: what it showed, and what people say it is.",
        "key": {"@id": "examples/subject"},
        "field": [
            _column("subject", "sc:Text"),
            _column("label", "sc:Text") | {"references": {"field": {"@id": "labels/name"}}},
            _column("split", "sc:Text") | {"references": {"field": {"@id": "splits/name"}}},
            _column("payload_sha256", "sc:Text"),
            _column("payload", "sc:Text"),
        ],
    }


def _inputs() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "inputs",
        "name": "inputs",
        "description": "What the examples show.",
        "key": {"@id": "inputs/name"},
        "field": [
            _field("inputs/name", "sc:Text") | {"source": _payload("filename")},
            _field("inputs/image", "sc:ImageObject") | {"source": _payload("content")},
        ],
    }


def _column(name: str, type_: str) -> dict[str, Any]:
    source = {"fileObject": {"@id": "rows"}, "extract": {"jsonPath": f"$[*].{name}"}}
    return _field(f"examples/{name}", type_) | {"source": source}


def _payload(what: str) -> dict[str, Any]:
    return {"fileSet": {"@id": "payloads"}, "extract": {"fileProperty": what}}


def _field(id_: str, type_: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": id_,
        "name": id_.partition("/")[2],
        "dataType": type_,
    }

"""What a plain predict answers, and what a refused request does."""

from typing import Any

import msgspec

from burnish import rim
from burnish.inference.errors import MethodNotAllowed
from burnish.inference.http import JSON, Request, Response
from burnish.inference.plane import Answer
from burnish.kernel.errors import BurnishError


def predict_reply(answer: Answer) -> dict[str, Any]:
    """Return the document that answers a plain predict of one image."""
    verdict = answer.verdicts[0]
    return {
        "model": answer.model,
        "model_version": answer.model_version,
        "release": answer.release,
        "generation": answer.generation,
        "prediction_id": verdict.prediction_id,
        "label": verdict.label,
        "confidence": verdict.confidence,
        "probabilities": dict(zip(answer.labels, verdict.probabilities, strict=True)),
        "payload_sha256": verdict.payload_sha256,
    }


def refusal(request: Request, error: BurnishError) -> Response:
    """Return the problem document of an error; below /v2 in the shape that its protocol has."""
    status, document = rim.problem(error)
    headers = []
    if "retry_after" in error.facts:
        headers.append((b"retry-after", str(error.facts["retry_after"]).encode()))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", str(error.facts["allow"]).encode()))
    media = rim.MEDIA_TYPE.encode()
    if request.path[0] == "v2":
        document, media = {"error": error.detail, "code": error.code}, JSON
    return Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type=media,
        headers=tuple(headers),
    )

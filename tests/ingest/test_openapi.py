"""The published document is true: whatever is sent, the answers are among those it declares."""

import json
from importlib.resources import files
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from support.front import Front

BEARER: Final = "a-token"
BOTH: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
]
NARROWED: Final = {  # so that some records are good: a schema cannot know which models there are
    "model": {"enum": ["laundry"]},
    "predicted": {"enum": ["good", None]},
    "final": {"enum": ["defect"]},
    "corrected": {"enum": [True]},
    "payload": {"enum": ["burnish:sha256:" + "ab" * 32]},
}
BUDGETS: Final = [
    pytest.param(25, id="short"),
    pytest.param(2000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]


def published(front: Front) -> dict[str, Any]:
    status, body = front.get("/openapi.json")
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for record in (schemas["Record1"], schemas["PlainRecord"]["anyOf"][0]):
        record["properties"] |= NARROWED
        record["required"] = [*record["required"], "payload"]
    return document


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.mark.parametrize("examples", BUDGETS)
@pytest.mark.parametrize("mode", BOTH, ids=lambda mode: str(mode.value))
def test_no_request_meets_a_server_error_or_an_undeclared_answer(
    front: Front, mode: GenerationMode, examples: int
) -> None:
    schema = schemathesis.openapi.from_dict(narrowed(published(front)))
    statuses: set[int] = set()
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue  # nothing of it can be wrong

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Any) -> None:
                bearer = {"Authorization": f"Bearer {BEARER}"}
                answer = case.call(base_url=front.url, session=session, headers=bearer)
                statuses.add(answer.status_code)
                case.validate_response(answer, headers=bearer, checks=CHECKS)

            ask()
    assert mode is GenerationMode.NEGATIVE or {200, 202, 422} <= statuses
    assert front.get("/healthz")[0] == 200


def test_the_document_holds_every_schema_version_and_every_path_that_there_is(front: Front) -> None:
    document = published(front)
    versions = [one.name for one in files("burnish.feedback").joinpath("schemas").iterdir()]
    for version in versions:
        number = version.removeprefix("v").removesuffix(".json")
        assert f"Record{number}" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            allowed = requests.options(front.url + path, timeout=30).headers["allow"]
            assert method.upper() in allowed
            assert "405" in operation["responses"]

"""The Open Inference Protocol v2 as JSON over real HTTP."""

import json
from typing import Any

import pytest

INFER = "/v2/models/laundry/infer"
PIXELS = 224 * 224 * 3


def tensor(count: int = 1, **changes: Any) -> dict[str, Any]:
    image = {
        "name": "image",
        "datatype": "UINT8",
        "shape": [count, 224, 224, 3],
        "data": [7] * (PIXELS * count),
    }
    return {"inputs": [{**image, **changes}]}


def infer(replica: Any, request: dict[str, Any], path: str = INFER) -> tuple[int, Any]:
    body = json.dumps(request).encode()
    return replica.ask("POST", path, body, content_type="application/json")[:2]


def nested(count: int) -> list[Any]:
    return [[[[7, 7, 7] for _ in range(224)] for _ in range(224)] for _ in range(count)]


def test_an_infer_request_is_answered_with_its_id_outputs_and_release(replica: Any) -> None:
    status, answer = infer(replica, {"id": "request-7", **tensor()})
    assert status == 200
    assert answer["id"] == "request-7"
    assert (answer["model_name"], answer["model_version"]) == ("laundry", "1.0.0")
    assert answer["parameters"]["release"] == "rel-a"
    assert answer["parameters"]["generation"] == 1
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["probabilities"]["datatype"] == "FP32"
    assert outputs["probabilities"]["shape"] == [1, 2]
    assert sum(outputs["probabilities"]["data"]) == pytest.approx(1, abs=1e-5)
    assert (outputs["label"]["datatype"], outputs["label"]["data"]) == ("BYTES", ["a"])
    assert outputs["prediction_id"]["data"] == [answer["parameters"]["prediction_id"]]


def test_nested_data_means_the_same_as_flat_data(replica: Any) -> None:
    flat = infer(replica, tensor(2))[1]["outputs"][0]
    assert infer(replica, tensor(2, data=nested(2)))[1]["outputs"][0] == flat


def test_every_image_of_a_batch_gets_a_prediction_of_its_own(replica: Any) -> None:
    _, answer = infer(replica, tensor(3))
    ids = next(out["data"] for out in answer["outputs"] if out["name"] == "prediction_id")
    assert len(set(ids)) == 3
    assert [prediction.id for prediction, _ in replica.log.entries] == ids


def test_only_the_outputs_asked_for_are_answered(replica: Any) -> None:
    _, answer = infer(replica, {**tensor(), "outputs": [{"name": "label"}]})
    assert [output["name"] for output in answer["outputs"]] == ["label"]


@pytest.mark.parametrize(
    ("request_document", "code"),
    [
        ({}, "request.malformed"),
        ({"inputs": "image"}, "request.malformed"),
        ({"inputs": []}, "tensor.invalid"),
        (tensor(name="input"), "tensor.invalid"),
        (tensor(datatype="FP32"), "tensor.invalid"),
        (tensor(shape=[1, 3, 224, 224]), "tensor.invalid"),
        (tensor(shape=[0, 224, 224, 3], data=[]), "tensor.invalid"),
        (tensor(shape=[10**12, 224, 224, 3]), "tensor.invalid"),
        (tensor(shape=[]), "tensor.invalid"),
        (tensor(data=[7] * (PIXELS - 1)), "tensor.invalid"),
        (tensor(data=[256] * PIXELS), "tensor.invalid"),
        (tensor(data=[0.5] * PIXELS), "tensor.invalid"),
        (tensor(data=["7"] * PIXELS), "tensor.invalid"),
        (tensor(data=[[7] * PIXELS]), "tensor.invalid"),
        (tensor(data=[[[[7, 7]]]]), "tensor.invalid"),
        (tensor(data=7), "tensor.invalid"),
        ({**tensor(), "outputs": [{"name": "logits"}]}, "tensor.invalid"),
    ],
    ids=range(17),
)
def test_a_wrong_tensor_is_refused_as_the_protocol_says(
    replica: Any, request_document: dict[str, Any], code: str
) -> None:
    status, answer = infer(replica, request_document)
    assert (status, answer["code"]) == (400, code)
    assert answer["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"inputs":' + b"[" * 100_000], ids=range(4)
)
def test_what_is_no_json_is_malformed(replica: Any, body: bytes) -> None:
    status, answer, _ = replica.ask("POST", INFER, body, content_type="application/json")
    assert (status, answer["code"]) == (400, "request.malformed")


def test_metadata_health_and_versions(replica: Any) -> None:
    def get(path: str) -> tuple[int, Any]:
        status, document, _ = replica.ask("GET", path)
        return status, document

    assert get("/v2") == (200, {"name": "burnish", "version": "0.1.0", "extensions": []})
    assert get("/v2/health/live") == (200, {"live": True})
    assert get("/v2/health/ready") == (200, {"ready": True})
    assert get("/v2/models/laundry/ready")[0] == 200
    status, metadata = get("/v2/models/laundry")
    assert (status, metadata["name"], metadata["versions"]) == (200, "laundry", ["1.0.0"])
    assert metadata["inputs"] == [
        {"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}
    ]
    assert get("/v2/models/laundry/versions/1.0.0") == (200, metadata)
    assert get("/v2/models/laundry/versions/1.0.0/ready")[0] == 200


def test_what_is_not_there_is_refused_in_the_protocols_shape(replica: Any) -> None:
    for path, code in (
        ("/v2/models/nothing", "model.unknown"),
        ("/v2/models/nothing/ready", "model.unknown"),
        ("/v2/models/laundry/versions/3.0.0", "model.version_unknown"),
        ("/v2/models/laundry/versions/1.0.0/stats", "route.unknown"),
        ("/v2/repository", "route.unknown"),
    ):
        status, document, _ = replica.ask("GET", path)
        assert (status, document["code"]) == (404, code), path
        assert document["error"]


def test_infer_may_name_the_version_that_serves_and_no_other(replica: Any) -> None:
    assert infer(replica, tensor(), "/v2/models/laundry/versions/1.0.0/infer")[0] == 200
    status, answer = infer(replica, tensor(), "/v2/models/laundry/versions/2.0.0/infer")
    assert (status, answer["code"]) == (404, "model.version_unknown")

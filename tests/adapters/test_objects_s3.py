import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.objects import BadSignature
from burnish.adapters.objects_s3 import Credentials, S3Objects, StoreRefused, StoreUnavailable
from burnish.kernel.errors import InvalidInput
from burnish.kernel.objects import ObjectNotFound

MINUTE = timedelta(minutes=1)


def fetch(url: str, method: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_a_presigned_url_lets_its_bearer_do_one_thing_for_a_while(s3: Any) -> None:
    objects = s3.objects(s3.url())
    put = objects.presign("out/a+b=1", "PUT", MINUTE)
    assert fetch(put, "GET")[0] == 403
    assert fetch(put, "PUT", b"trained")[0] == 200
    assert objects.get("out/a+b=1") == b"trained"
    get = objects.presign("out/a+b=1", "GET", MINUTE)
    assert fetch(get, "GET") == (200, b"trained")
    assert fetch(get, "PUT", b"other")[0] == 403
    assert fetch(get.replace("out/", "other/"), "GET")[0] == 403
    short = objects.presign("out/a+b=1", "GET", timedelta(seconds=1))
    deadline = time.monotonic() + 30
    while fetch(short, "GET")[0] == 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_url_that_s3_would_not_honour_is_not_signed(s3: Any) -> None:
    with pytest.raises(InvalidInput, match="7 days"):
        s3.objects(s3.url()).presign("a", "GET", timedelta(days=8))


def test_the_control_plane_vouches_for_no_url_of_a_bucket(s3: Any) -> None:
    with pytest.raises(BadSignature):
        s3.objects(s3.url()).verify("a", method="GET", expires=2**40, signature="0")


def test_a_bucket_that_is_missing_is_an_error_and_never_an_empty_store(s3: Any) -> None:
    missing = s3.objects("s3://no-such-bucket/here")
    with pytest.raises(StoreRefused, match=r"objects\.url"):
        missing.reach()
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        missing.get("a")
    with pytest.raises(StoreUnavailable):
        list(missing.list(""))


def test_a_wrong_key_is_refused_at_start_and_named_at_use(s3: Any) -> None:
    stranger = S3Objects(
        s3.url(),
        endpoint=s3.endpoint,
        region="us-east-1",
        credentials=Credentials(key_id="tests", secret="a-guess"),
        allow_http=True,
        timeout_s=10,
    )
    with pytest.raises(StoreRefused, match="credentials") as refused:
        stranger.reach()
    assert "a-guess" not in str(refused.value)
    for attempt in (lambda: stranger.put("a", b""), lambda: stranger.get("a")):
        with pytest.raises(StoreUnavailable, match="403"):
            attempt()


def test_a_server_that_hangs_or_is_gone_is_given_up_in_time(s3: Any) -> None:
    objects = s3.objects(s3.url(), timeout_s=1)
    objects.reach()
    s3.hang()
    for attempt in (
        objects.reach,
        lambda: objects.put("a", b"1"),
        lambda: objects.get("a"),
        lambda: objects.exists("a"),
    ):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            attempt()
        assert time.monotonic() - began < 15
    s3.go_on()
    objects.put("a", b"1")  # which may have arrived before
    assert objects.get("a") == b"1"


def test_two_prefixes_of_one_bucket_are_two_stores(s3: Any) -> None:
    one, other = s3.objects(s3.url()), s3.objects(s3.url())
    one.put("a", b"1")
    assert not other.exists("a")
    with pytest.raises(ObjectNotFound):
        other.get("a")


def test_a_key_comes_from_a_file_in_the_form_of_awss(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id = AK\naws_secret_access_key=S%K=\n")
    assert Credentials.read(path) == Credentials(key_id="AK", secret="S%K=")
    assert "S%K=" not in repr(Credentials.read(path))
    path.write_text("aws_secret_access_key = S%K=\n")
    with pytest.raises(InvalidInput, match=r"objects\.credentials_file") as refused:
        Credentials.read(path)
    assert "S%K=" not in str(refused.value)

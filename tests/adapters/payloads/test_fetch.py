"""Payloads from folders and buckets, as far as the policy allows; and patience with both."""

import os
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.adapters.payloads.fetch import Bucketry, PayloadFetcher
from burnish.adapters.payloads.web import Web
from burnish.datasets.model import Reason
from support.http_server import HttpServer, QuietHandler
from support.s3 import BUCKET, KEY, S3Server

MOST = 1000


def fetcher(bucketry: Bucketry | None = None, *, private: str = "") -> PayloadFetcher:
    return PayloadFetcher(
        Web(max_bytes=MOST, timeout_s=5, private_hosts=frozenset({private})),
        bucketry or Bucketry(),
        max_bytes=MOST,
        timeout_s=5,
        pause=lambda _: None,
    )


def reason(uri: str, *allow: str, by: PayloadFetcher | None = None) -> Reason:
    with pytest.raises(PayloadUnusable) as raised:
        (by or fetcher()).fetch(uri, allow)
    return raised.value.reason


def test_a_file_below_an_allowed_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "a photo.jpg").write_bytes(b"bytes")
    allow = (f"file://{tmp_path}",)
    assert fetcher().fetch(f"file://{tmp_path}/a%20photo.jpg", allow) == b"bytes"


def test_files_that_are_none_of_ours_are_left_alone(tmp_path: Path) -> None:
    photos, secret = tmp_path / "photos", tmp_path / "secret"
    photos.mkdir()
    secret.write_bytes(b"s")
    (photos / "link").symlink_to(secret)
    (photos / "inner").symlink_to(photos / "x")
    (photos / "x").write_bytes(b"x")
    (photos / "folder").mkdir()
    os.mkfifo(photos / "pipe")
    (photos / "large").write_bytes(b"x" * (MOST + 1))
    base, allow = f"file://{photos}", f"file://{photos}"
    assert reason(f"file://{secret}", allow) is Reason.PAYLOAD_NOT_ALLOWED
    assert reason(f"{base}/../secret", allow) is Reason.PAYLOAD_NOT_ALLOWED
    assert reason(f"{base}/%2e%2e/secret", allow) is Reason.PAYLOAD_NOT_ALLOWED
    assert reason(f"{base}/link", allow) is Reason.PAYLOAD_NOT_ALLOWED
    assert reason(f"{base}/gone", allow) is Reason.PAYLOAD_MISSING
    assert reason(f"{base}/folder", allow) is Reason.PAYLOAD_MISSING
    assert reason(f"{base}/pipe", allow) is Reason.PAYLOAD_MISSING
    assert reason(f"{base}/large", allow) is Reason.PAYLOAD_TOO_LARGE
    assert fetcher().fetch(f"{base}/inner", (allow,)) == b"x"


def test_a_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "1").write_bytes(b"1")
    (tmp_path / "photos").symlink_to(tmp_path / "mounted")
    allow = (f"file://{tmp_path}/photos",)
    assert fetcher().fetch(f"file://{tmp_path}/photos/1", allow) == b"1"


@pytest.mark.parametrize("uri", ["ftp://h/x", "gopher://h/x", "data://x/y", "http://a@h/x", "x"])
def test_other_schemes_are_refused(uri: str) -> None:
    assert reason(uri, "ftp://h", "gopher://h", "data://x", "h") is Reason.PAYLOAD_NOT_ALLOWED


def test_a_bucket_is_read_below_its_allowed_prefix(s3: S3Server) -> None:
    by = fetcher(Bucketry(endpoint=s3.endpoint, credentials=KEY, allow_http=True))
    folder = s3.url().removeprefix(f"s3://{BUCKET}/")
    store = S3Store(BUCKET, config=s3.config(), client_options={"allow_http": True})
    obstore.put(store, f"{folder}/photos/1.jpg", b"one")
    obstore.put(store, f"{folder}/photos/large.jpg", b"x" * (MOST + 1))
    allow = f"s3://{BUCKET}/{folder}/photos"
    assert by.fetch(f"{allow}/1.jpg", (allow,)) == b"one"
    assert reason(f"{allow}/2.jpg", allow, by=by) is Reason.PAYLOAD_MISSING
    assert reason(f"{allow}/large.jpg", allow, by=by) is Reason.PAYLOAD_TOO_LARGE
    assert reason(f"s3://{BUCKET}/{folder}/1.jpg", allow, by=by) is Reason.PAYLOAD_NOT_ALLOWED
    s3.kill()
    with pytest.raises(PayloadSourceDown, match=f"bucket {BUCKET}"):
        by.fetch(f"{allow}/1.jpg", (allow,))


def test_a_server_is_asked_again_before_it_is_given_up() -> None:
    asked: list[str] = []

    class Flaky(QuietHandler):
        def answer(self) -> None:
            asked.append(self.path)
            good = self.path == "/good" and len(asked) >= 3
            self.reply(200 if good else 503, b"bytes")

    server = HttpServer(Flaky)
    place = f"127.0.0.1:{server.port}"
    try:
        by = fetcher(private=place)
        assert by.fetch(f"{server.url}/good", (place,)) == b"bytes"
        assert len(asked) == 3
        with pytest.raises(PayloadSourceDown, match="503"):
            by.fetch(f"{server.url}/bad", (place,))
        assert len(asked) == 6
    finally:
        by.close()
        server.close()

"""The secrets of a data directory: made once, kept well, the same for everyone."""

import os
import re
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from burnish.adapters.secrets import Secrets, SecretUnreadable, ensure_secrets


def test_the_first_start_makes_them_and_says_so_the_second_finds_them(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path / "data")
    second = ensure_secrets(tmp_path / "data")
    assert first.token_is_new
    assert not second.token_is_new
    assert (first.key, first.admin_token) == (second.key, second.admin_token)
    assert len(first.key) == 32
    assert re.fullmatch(r"bn_[A-Za-z0-9_-]{43}", first.admin_token)


def test_only_the_owner_may_read_them_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_secrets(tmp_path)
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {"secret.key": 0o600, "admin.token": 0o600}


def test_two_directories_share_nothing(tmp_path: Path) -> None:
    one, other = ensure_secrets(tmp_path / "one"), ensure_secrets(tmp_path / "other")
    assert one.key != other.key
    assert one.admin_token != other.admin_token


def test_processes_that_race_agree_and_one_alone_prints_the_token(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for round_ in range(5):
            found: list[Secrets] = list(pool.map(ensure_secrets, [tmp_path / str(round_)] * 8))
            assert len({(secrets.key, secrets.admin_token) for secrets in found}) == 1
            assert sum(secrets.token_is_new for secrets in found) == 1


@pytest.mark.parametrize(
    ("file", "content"),
    [("secret.key", ""), ("secret.key", "00ff"), ("secret.key", "no hex"), ("admin.token", "x")],
)
def test_a_file_that_holds_no_secret_is_refused_by_name(
    tmp_path: Path, file: str, content: str
) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(SecretUnreadable, match=file):
        ensure_secrets(tmp_path)


def test_secrets_stay_out_of_what_is_printed_about_them(tmp_path: Path) -> None:
    secrets = ensure_secrets(tmp_path)
    assert secrets.admin_token not in repr(secrets)

"""Settings: where they come from, what they refuse, and that the pages about them are true."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import burnish
from burnish import config
from burnish.kernel.policy import Kind, ModelPolicy, parse_policy
from burnish.scaffold import POLICY_HELP, initialise, policy_text, settings_page, settings_text
from burnish.settings import catalogue

ROOT = Path(__file__).parents[1]


def test_defaults_hold_where_nothing_is_said(tmp_path: Path) -> None:
    settings = config.load(tmp_path, environ={})
    assert settings.data == tmp_path
    assert settings.database.url == f"sqlite:///{tmp_path}/burnish.db"
    assert settings.objects.url == f"file://{tmp_path}/objects"
    assert (settings.control.port, settings.ingest.port, settings.serve.port) == (8400, 8401, 8402)
    assert settings.control.url == "http://127.0.0.1:8400"


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "burnish.toml").write_text(
        '[ingest]\nport = 1001\nseal_seconds = 1\nshard = "file"\n', encoding="utf-8"
    )
    environ = {"BURNISH_INGEST__PORT": "1002", "BURNISH_INGEST__SEAL_SECONDS": "2"}
    ingest = config.load(tmp_path, {"ingest.port": "1003"}, environ).ingest
    assert (ingest.port, ingest.seal_seconds, ingest.shard) == (1003, 2.0, "file")
    assert ingest.url == "http://127.0.0.1:1003"


def test_the_data_directory_comes_from_the_flag_then_the_environment(tmp_path: Path) -> None:
    environ = {"BURNISH_DATA": str(tmp_path / "there")}
    assert config.load(tmp_path / "here", environ=environ).data == tmp_path / "here"
    assert config.load(environ=environ).data == tmp_path / "there"
    assert config.load(environ={}).data == Path.cwd() / "burnish-data"


def test_a_wildcard_address_is_reached_by_loopback(tmp_path: Path) -> None:
    flags = {"control.host": "0.0.0.0", "serve.host": "::"}  # noqa: S104
    settings = config.load(tmp_path, flags, {})
    assert settings.control.url == "http://127.0.0.1:8400"
    assert settings.serve.url == "http://[::1]:8402"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("serve.prot", "1", "did you mean serve.port"),
        ("nonsense.qqq", "1", "docs/settings.md"),
        ("serve.port", "0", ">= 1"),
        ("serve.port", "65536", "<= 65535"),
        ("serve.port", "eighty", "serve.port is 'eighty'"),
        ("ingest.seal_seconds", "0", "> 0"),
        ("ingest.seal_seconds", "nan", "ingest.seal_seconds"),
        ("ingest.seal_seconds", "inf", "ingest.seal_seconds"),
        ("ingest.shard", "../up", "ingest.shard"),
        ("control.url", "localhost:8400", "control.url"),
        ("log.level", "loud", "debug, info, warning or error"),
        ("ingest.spool_low_water_bytes", "99999999999", "ingest.spool_high_water_bytes"),
        ("ingest.max_record_bytes", "99999999999", "ingest.max_batch_bytes"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    tmp_path: Path, key: str, value: str, told: str
) -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load(tmp_path, {key: value}, {})
    assert key in refused.value.detail
    assert told in refused.value.detail


def test_an_unknown_key_in_the_environment_or_the_file_is_an_error_that_says_where(
    tmp_path: Path,
) -> None:
    with pytest.raises(config.SettingsError, match=r"'serve.prt' \(in the environment\)"):
        config.load(tmp_path, environ={"BURNISH_SERVE__PRT": "1"})
    (tmp_path / "burnish.toml").write_text("[servee]\nport = 1\n", encoding="utf-8")
    with pytest.raises(config.SettingsError, match=r"'servee.port' \(in .*burnish.toml\)"):
        config.load(tmp_path, environ={})


def test_a_file_that_is_no_toml_or_holds_another_type_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "burnish.toml"
    file.write_text("[serve\n", encoding="utf-8")
    with pytest.raises(config.SettingsError, match="not TOML"):
        config.load(tmp_path, environ={})
    file.write_text('[serve]\nport = "8402"\n', encoding="utf-8")
    with pytest.raises(config.SettingsError, match=r"serve.port is '8402'"):
        config.load(tmp_path, environ={})


def test_what_the_command_line_and_orchestrators_put_beside_settings_is_left_alone(
    tmp_path: Path,
) -> None:
    environ = {"BURNISH_TOKEN": "x", "BURNISH_PORT": "tcp://10.0.0.1:1", "BURNISH_CRASH_AT": "a.b"}
    assert config.load(tmp_path, environ=environ) == config.load(tmp_path, environ={})


@given(
    port=st.integers(1, 65535),
    seconds=st.floats(0.001, 1e6),
    auth=st.booleans(),
    level=st.sampled_from(["debug", "info", "warning", "error"]),
)
def test_another_process_gets_the_very_same_settings(
    port: int, seconds: float, auth: bool, level: str
) -> None:
    flags = {
        "serve.port": str(port),
        "serve.auth": str(auth).lower(),
        "ingest.seal_seconds": repr(seconds),
        "log.level": level,
    }
    settings = config.load(Path("/data"), flags, {})
    assert config.load(environ=config.environment(settings)) == settings


def test_every_setting_has_a_help_line_and_a_default_that_is_accepted(tmp_path: Path) -> None:
    assert [setting.key for setting in catalogue() if not setting.help.endswith(".")] == []
    assert config.load(tmp_path, environ={}) is not None


def test_every_setting_is_read_by_somebody() -> None:
    """As `<section>.<name>`: a section handed on whole keeps its name."""
    root = Path(burnish.__file__).parent
    about_settings = {root / name for name in ("settings.py", "config.py", "scaffold.py")}
    read = {
        f"{_last_name(node.value)}.{node.attr}"
        for path in set(root.rglob("*.py")) - about_settings
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert {setting.key for setting in catalogue()} <= read


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_the_page_about_the_settings_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(), "run: python -m burnish.scaffold > docs/settings.md"


def test_the_settings_file_of_init_says_the_defaults_commented_or_not(tmp_path: Path) -> None:
    untouched = config.load(tmp_path, environ={})
    file = tmp_path / "burnish.toml"
    for text in (settings_text(), _uncommented(settings_text())):
        file.write_text(text, encoding="utf-8")
        assert config.load(tmp_path, environ={}) == untouched


def test_the_policy_file_of_init_holds_the_defaults_commented_or_not() -> None:
    text = policy_text("laundry", Kind.IMAGE_CLASSIFICATION, ("good", "defect"))
    plain = ModelPolicy(name="laundry", kind=Kind.IMAGE_CLASSIFICATION, labels=("good", "defect"))
    assert parse_policy(text) == plain
    assert parse_policy(_uncommented(text)) == plain


def test_every_key_of_a_policy_has_a_help_line() -> None:
    keys = {"name", "kind", "labels"}
    text = policy_text("a", Kind.IMAGE_CLASSIFICATION)
    policy = parse_policy(text)
    for section in policy.__struct_fields__:
        if section in keys:
            continue
        names = getattr(getattr(policy, section), "__struct_fields__", ())  # sources have none
        keys |= {section, *(f"{section}.{name}" for name in names)}
    assert keys - {"name", "kind", "labels"} == set(POLICY_HELP)


def test_init_never_overwrites_what_a_person_wrote(tmp_path: Path) -> None:
    first = dict(initialise(tmp_path, "laundry", Kind.IMAGE_CLASSIFICATION))
    assert first == {
        tmp_path / "burnish.toml": True,
        tmp_path / "models" / "laundry.toml": True,
    }
    (tmp_path / "burnish.toml").write_text("# mine\n", encoding="utf-8")
    assert not any(dict(initialise(tmp_path, "laundry", Kind.IMAGE_CLASSIFICATION)).values())
    assert (tmp_path / "burnish.toml").read_text(encoding="utf-8") == "# mine\n"


def _uncommented(text: str) -> str:
    """Return a commented file with its defaults in force."""
    return "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line
        for line in text.splitlines()
    )

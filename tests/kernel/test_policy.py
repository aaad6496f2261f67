"""A policy file with a mistake is refused by field, value and fix."""

import pytest

from burnish.kernel.policy import PolicyError, parse_policy

HEAD = 'name = "laundry"\nkind = "image-classification"\n'
LABELS = 'labels = ["good", "defect"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[triger]\nmin_days = 3", "triger is {'min_days': 3}: there is no such key: did you mean"),
        ("[trigger]\nmin_dais = 3", "trigger.min_dais is 3: there is no such key: did you mean"),
        ("[trigger]\nmoon = 3", "trigger.moon is 3: there is no such key: use min_corrections, "),
        ('[trigger]\nmin_days = "3"', "trigger.min_days is '3': expected `float`, got `str`"),
        ("[trigger]\nmin_corrections = 1.5", "trigger.min_corrections is 1.5: expected `int`"),
        ("[trigger]\nmin_days = -1", "trigger.min_days is -1"),
        ("[trigger]\nmin_days = 1e9", "trigger.min_days is 1000000000.0: give up to 36500"),
        ("[trigger]\nmin_days = nan", "trigger.min_days is nan: give zero or more"),
        ('[trigger]\nevery = "week"', "trigger.every is 'week': write \"day\""),
        ('[trigger]\nwindow = "at night"', "trigger.window is 'at night': write it as in"),
        ("[trigger]\nwindow_strict = true", "trigger.window_strict is True: say which window"),
        (
            '[release]\napproval = "perhaps"',
            "release.approval is 'perhaps': write one of manual, auto",
        ),
    ],
)
def test_a_mistake_is_named_with_its_value_and_the_fix(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(f"{HEAD}{LABELS}{text}\n")
    assert refused.value.detail.startswith(said)


def test_a_mistake_in_a_list_is_named_with_its_place() -> None:
    with pytest.raises(PolicyError, match=r"^labels\[1\] is 7: expected `str`, got `int`"):
        parse_policy(f'{HEAD}labels = ["good", 7]')


def test_what_is_missing_is_named() -> None:
    with pytest.raises(PolicyError, match="missing required field `labels`"):
        parse_policy(HEAD)


def test_a_whole_trigger_section_is_read() -> None:
    text = '[trigger]\nevery = "day"\nwindow = "22:30-04:00 Europe/Berlin"\nwindow_strict = true'
    trigger = parse_policy(f"{HEAD}{LABELS}{text}").trigger
    assert trigger.opening_hours is not None
    assert trigger.opening_hours.zone == "Europe/Berlin"
    assert parse_policy(HEAD + LABELS).trigger.opening_hours is None

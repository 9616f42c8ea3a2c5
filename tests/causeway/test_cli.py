"""The command's arguments: what cannot be used is said in a line."""

import pytest

from causeway.cli import main


def test_a_wall_on_every_address_must_have_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--host", "0.0.0.0"]) == 2
    assert "--wall-name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--city", "atlantis"], "no city 'atlantis'; expected one of saigon"),
        (["demo", "--scenario", "drought"], "no scenario 'drought'"),
        (["demo", "--video", "cam"], "expected CAMERA=FILE"),
        (["bench", "luck"], "no benchmark 'luck'"),
        (["replay", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_used_is_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err

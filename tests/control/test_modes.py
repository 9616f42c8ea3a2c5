import pytest

from causeway.events import CommandRefused, ControlMode, ControlModeChanged, ControlModeRequested
from control.modes import ControlModes


@pytest.mark.parametrize("asset", ["j-01", "p-1", "g-1", "vms-1", "lc-1"])
def test_an_operator_takes_any_asset_that_can_be_commanded_in_hand(site, bench, asset):
    step = bench(ControlModes(site))
    request = ControlModeRequested(asset=asset, mode=ControlMode.MANUAL, operator="an")
    assert step(request) == [
        ControlModeChanged(asset=asset, mode=ControlMode.MANUAL, operator="an")
    ]


@pytest.mark.parametrize("asset", ["p-9", "tg-phu-an", "cam-1", ""])
def test_an_asset_that_cannot_be_commanded_is_refused(site, bench, asset):
    step = bench(ControlModes(site))
    request = ControlModeRequested(asset=asset, mode=ControlMode.MANUAL, operator="an")
    (refused,) = step(request)
    assert isinstance(refused, CommandRefused)
    assert (refused.target, refused.interlock, refused.by) == (
        asset,
        "unknown_asset",
        "operator:an",
    )

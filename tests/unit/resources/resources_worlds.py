"""Made-up devices and forecasts for the tests of the shadow manager."""

from __future__ import annotations

from controller.model.resources import Amounts, Mode, Policy, Prices, ResourceForecast, ShadowSize
from controller.plan.resources import DeviceView

GIB = float(1 << 30)
BASE = Amounts(2.0, 4 * GIB, 1e9)
PRIMARY = BASE
LEVELS = (0.05, 0.5, 0.95)
START_S = 1_700_006_400.0  # a Wednesday, 00:00 UTC
PERIOD_S = 5.0
PRICES = Prices(Amounts(1.0, 1.0 / GIB, 1e-9), Amounts(20.0, 20.0 / GIB, 20e-9))


def policy(**changes: object) -> Policy:
    """Active, of one shadow of any size."""
    plain: dict[str, object] = {
        "name": "test",
        "base": BASE,
        "mode": Mode.ACTIVE,
        "prices": PRICES,
        "shadows": (ShadowSize("s1"),),
    }
    return Policy(**(plain | changes))  # type: ignore[arg-type]


def forecast(
    middle: float, now_s: float, *, device: str = "r1", spread: float = 0.1, later: float = 0.0
) -> ResourceForecast:
    """The same utilisation of all resources at 5 s and, `later` more, at 30 s."""
    rows = tuple(
        tuple(
            Amounts(value, value, value) for value in (mid * (1 - spread), mid, mid * (1 + spread))
        )
        for mid in (middle, middle + later)
    )
    return ResourceForecast(device, now_s, (PERIOD_S, 30.0), LEVELS, rows)


def device(
    use: float, now_s: float, coming: float | None = None, *, name: str = "r1", **more: object
) -> DeviceView:
    """use, coming: utilisation, the latter predicted (None: no forecast)."""
    predicted = None if coming is None else forecast(coming, now_s, device=name)
    return DeviceView(name, BASE * use, PRIMARY, predicted, **more)  # type: ignore[arg-type]

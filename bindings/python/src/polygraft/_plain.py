"""Results as values that JSON can hold: None where there was nothing to measure, names as texts."""

from __future__ import annotations

import math
from typing import Any

from polygraft.names import Named


def optional(value: float) -> float | None:
    """A number of the library, which is NaN where there is none."""
    return None if math.isnan(value) else value


def plain(value: Any) -> Any:
    """Writes named values by name, and tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.label if isinstance(value, Named) else value

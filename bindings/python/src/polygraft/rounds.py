"""Rounds: many devices learn together when the data of one is not enough.

`Model.round_ask` makes the message of a round, `Model.round_reply` trains on this device and makes
the reply, `Store.round_average` averages replies, and `Model.round_apply` lets the gate of this
device decide about the average. What goes between them is bytes; any transport carries them.
`docs/fleet.md` has all options and an application for Flower.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polygraft._declarations import ffi
from polygraft._library import call, encode, library, owned, text


@dataclass(frozen=True)
class Round:
    """A file of a round: a message, a reply or an aggregate."""

    #: What goes over the wire.
    data: bytes
    #: What the file says: `kind`, `hash`, `size_bytes`, `body`; of an average also `refused`.
    about: dict[str, Any]


def read_round(data: bytes) -> Round:
    """Reads a file of a round. Damaged bytes raise `RoundMalformedError`."""
    with owned("round") as place:
        call(library().polygraft_round_read, data, len(data), place)
        return copy_round(place[0])


def settings(options: Mapping[str, Any] | None) -> Any:
    """Options for the library; None stands for the defaults."""
    return ffi.NULL if options is None else encode("options", json.dumps(dict(options)))


def copy_round(round: Any) -> Round:
    lib = library()
    size = ffi.new("size_t *")
    first = lib.polygraft_round_bytes(round, size)
    data = bytes(ffi.buffer(first, size[0])) if size[0] else b""
    return Round(data, json.loads(text(lib.polygraft_round_json(round))))


def copy_applied(round: Any) -> list[dict[str, Any]]:
    applied: list[dict[str, Any]] = json.loads(text(library().polygraft_round_json(round)))
    return applied

"""Measures rounds over a fleet of simulated devices, in one process: no transport, real training.

    POLYGRAFT_LIBRARY=target/release/libpolygraft.so python examples/fleet/simulate.py \\
        --bundle .cache/bundle/e5-small --data .cache/data/intents --out target/fleet.json

Every device has a store of its own and sentences of one language, mostly of its own intents. Each
line of progress is also a row of the output. `docs/fleet.md` has what came out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from polygraft import Engine, Examples, Model, ModelOptions, Store, UpdateOptions
from polygraft_fleet.data import lines, read, split_among
from polygraft_fleet.device import TASK
from spoil import poisoned, spoilt

LANGUAGES = ["de", "nl", "es", "fr", "pl", "tr", "fi", "hu", "hi", "el"]
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:6.0f} s] {text}", flush=True)


class Place:
    """A store with the model over it."""

    def __init__(self, world: "World", name: str) -> None:
        self.store = Store(world.folder / name)
        options = ModelOptions(threads=world.arguments.threads)
        self.model = Model(world.engine, world.arguments.bundle, self.store, options)

    def close(self) -> None:
        self.model.close()
        self.store.close()

    def serving(self, language: str) -> str:
        """The hash of the version that serves a language."""
        active = {one.language: one.hash for one in self.store.versions(TASK) if one.active}
        return active.get(language, active["mul"])


class World:
    """The data, the base adapter and the settings of one measurement."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.engine = Engine()
        data = Path(arguments.data)
        self.languages = LANGUAGES[: arguments.languages]
        self.per_language = arguments.devices // len(self.languages)
        self.tests = {one: Examples.parse(lines(read(data, "test", one)[: arguments.tests]))
                      for one in self.languages}
        base, self.rows = [], {}
        for language in self.languages:
            rows = read(data, "train", language)
            taken, left = first(rows, arguments.base)
            base += taken
            shares = split_among(left, self.per_language, arguments.examples,
                                 language + str(arguments.seed or ""))
            for number, share in enumerate(shares):
                self.rows[f"{language}-{number}"] = share
        self.measured: dict[tuple[str, str], float] = {}
        self.base_file = folder / "base.safetensors"
        self.teach_base(base)

    def teach_base(self, rows: list[dict]) -> None:
        """The adapter that every device is delivered with: little data in all languages."""
        place = Place(self, "factory")
        options = UpdateOptions(seed=1 + self.arguments.seed, threads=self.arguments.threads,
                                gate_enabled=False, layers_top=self.arguments.layers_top)
        with place.model.begin_update(TASK, options) as update:
            update.add_examples(Examples.parse(lines(rows)))
            update.run(pulse("base"))
            update.commit()
        place.model.export_adapter(TASK, "mul", self.base_file)
        place.close()

    def options(self, languages: int) -> UpdateOptions:
        """An update with the steps and the gate of the rounds."""
        steps = self.arguments.rounds * self.arguments.steps * languages
        return UpdateOptions(seed=1 + self.arguments.seed, threads=self.arguments.threads,
                             steps_max=steps, gate_margin=self.arguments.margin)

    def place(self, name: str) -> Place:
        place = Place(self, name)
        place.model.import_adapter(TASK, "mul", self.base_file)
        return place

    def accuracy(self, place: Place, language: str) -> float:
        """On the test sentences, which nobody trains on. Equal versions are measured once."""
        key = (language, place.serving(language))
        if key not in self.measured:
            scores = place.model.evaluate(TASK, self.tests[language])
            self.measured[key] = scores.mean.score
        return self.measured[key]


def first(rows: list[dict], count: int) -> tuple[list[dict], list[dict]]:
    """The first rows and those that stay; among the first is one of every intent."""
    seen: set[str] = set()
    taken, left = [], []
    for at, row in enumerate(rows):
        (taken if at < count or row["label"] not in seen else left).append(row)
        seen.add(row["label"])
    return taken, left


def pulse(what: str):
    last = [0.0]

    def progress(now) -> None:
        if time.monotonic() - last[0] > 8:
            last[0] = time.monotonic()
            say(f"{what}: {now.fraction:.0%}")

    return progress


#: What the spoilt devices of `garbage` do, in turn.
GARBAGE = ["silent", "stale", "nan", "huge"]

#: The share of the devices that are spoilt, where any are.
SPOILT_SHARE = 0.2


class FleetOptions(NamedTuple):
    """What sets one fleet apart from another."""

    averaging: str = "product"
    sharing: str = "none"
    #: Whether the first factors of low-rank products keep their values.
    frozen: bool = False
    #: What the spoilt devices do, in turn; empty if there are none.
    spoilt: Sequence[str] = ()


FLEETS = {
    "product": FleetOptions(),
    "uriel": FleetOptions(sharing="uriel"),
    "garbage": FleetOptions(spoilt=GARBAGE),
    "poison": FleetOptions(spoilt=["poison"]),
    "frozen": FleetOptions(averaging="factors", frozen=True),
    "factors": FleetOptions(averaging="factors"),
}


class Fleet:
    """A server and its devices, through some rounds."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.options = world, name, FLEETS[name]
        self.server = world.place(f"{name}-server")
        self.devices = {device: world.place(f"{name}-{device}") for device in sorted(world.rows)}
        self.spoilt = self.choose_spoilt()
        self.new = {
            device: Examples.parse(lines(
                poisoned(rows) if self.spoilt.get(device) == "poison" else rows))
            for device, rows in world.rows.items()
        }
        #: The last honest reply of each device, which a stale one sends again.
        self.earlier: dict[str, bytes] = {}
        #: The languages that learn from one message: all of them where they share.
        shares = self.options.sharing != "none"
        self.groups = [world.languages] if shares else [[one] for one in world.languages]

    def choose_spoilt(self) -> dict[str, str]:
        """Every fifth device, so that no language has only spoilt ones."""
        kinds, names = self.options.spoilt, list(self.devices)
        count = round(SPOILT_SHARE * len(names)) if kinds else 0
        return {names[at * len(names) // count]: kinds[at % len(kinds)] for at in range(count)}

    def ask(self, number: int, languages: list[str]) -> bytes:
        """The message of a round. With one language alone, a device gets no other base."""
        arguments = self.world.arguments
        return self.server.model.round_ask(TASK, {
            "languages": languages, "round": number, "seed": 1000 * arguments.seed + number,
            "with_bases": number == 1,
            "training": {"steps_max": arguments.steps, "down_frozen": self.options.frozen,
                         "clip_norm": arguments.clip_norm},
        }).data

    def reply(self, device: str, message: bytes) -> bytes | None:
        """What a device sends, if anything."""
        options = {"threads": self.world.arguments.threads}
        made = self.devices[device].model.round_reply(message, self.new.pop(device, None), options)
        sent = spoilt(self.spoilt.get(device, ""), made.data, self.earlier.get(device))
        self.earlier[device] = made.data
        return sent

    def round(self, number: int) -> dict:
        """One round: ask, reply, average, apply. Returns the row of the output."""
        began, messages, replies, seconds = time.monotonic(), [], [], []
        refused: list[str] = []
        aggregates: list[tuple[list[str], bytes]] = []
        for languages in self.groups:
            message = self.ask(number, languages)
            sent = []
            for device in self.devices:
                if language_of(device) in languages:
                    started = time.monotonic()
                    sent.append(self.reply(device, message))
                    seconds.append(time.monotonic() - started)
                    if len(seconds) % 5 == 0:
                        say(f"{self.name}: round {number}, {len(seconds)} devices")
            arrived = [one for one in sent if one is not None]
            made = self.server.store.round_average(message, arrived, {
                "averaging": self.options.averaging, "sharing": self.options.sharing})
            refused += [one["code"] for one in made.about["refused"]]
            if made.about["body"]["languages"]:
                aggregates.append((languages, made.data))
            messages.append(len(message))
            replies += [len(one) for one in arrived]
        activated, down = self.apply(aggregates)
        row = {
            "round": number, "activated": activated, "refused": refused,
            "bytes_message": statistics.mean(messages), "bytes_up": statistics.mean(replies),
            "bytes_down": statistics.mean(down or [0]),
            "seconds_device": statistics.mean(seconds), "seconds": time.monotonic() - began,
        }
        if number == self.world.arguments.rounds or number % 5 == 0:
            row.update(self.accuracies())
            say(f"{self.name}: gated {mean(row['gated']):.3f}, ungated {mean(row['ungated']):.3f}")
        say(f"{self.name}: round {number}: {activated} activated, refused {refused}")
        return row

    def apply(self, aggregates: list[tuple[list[str], bytes]]) -> tuple[int, list[int]]:
        """Applies the aggregates on the server without a gate, which `ungated` measures, and on each
        device with its own. Returns how many devices activated, and the bytes that each got."""
        activated, down = 0, []
        for languages, data in aggregates:
            self.server.model.round_apply(data, {"activation": "always"})
            for device, place in self.devices.items():
                if language_of(device) in languages:
                    applied = place.model.round_apply(data, {
                        "languages": [language_of(device)],
                        "gate_margin": self.world.arguments.margin})
                    activated += sum(one["activated"] for one in applied)
                    down.append(len(data))
        return activated, down

    def accuracies(self) -> dict[str, dict[str, float]]:
        """Of each language: the mean over its honest devices, and what the server has."""
        gated: dict[str, list[float]] = {language: [] for language in self.world.languages}
        for device, place in self.devices.items():
            if self.spoilt.get(device) != "poison":
                language = language_of(device)
                gated[language].append(self.world.accuracy(place, language))
        open_ = {one: self.world.accuracy(self.server, one) for one in self.world.languages}
        return {"gated": {one: statistics.mean(of) for one, of in gated.items()}, "ungated": open_}

    def run(self) -> None:
        """All rounds. What is known is saved after each."""
        rows = []
        for number in range(1, self.world.arguments.rounds + 1):
            rows.append(self.round(number))
            save(self.world, self.name, {"spoilt": self.spoilt, "rounds": rows})
        for place in [self.server, *self.devices.values()]:
            place.close()


def language_of(device: str) -> str:
    return device.rsplit("-", 1)[0]


def mean(by_language: dict[str, float]) -> float:
    return statistics.mean(by_language.values())


def alone(world: World) -> dict:
    """Every device learns from its own sentences, in as many steps as in all rounds together."""
    gated: dict[str, list[float]] = {language: [] for language in world.languages}
    seconds = []
    for device, rows in world.rows.items():
        language, place = language_of(device), world.place(f"alone-{device}")
        began = time.monotonic()
        with place.model.begin_update(TASK, world.options(1)) as update:
            update.add_examples(Examples.parse(lines(rows)))
            update.run(pulse(f"alone {device}"))
            update.commit()
        seconds.append(time.monotonic() - began)
        gated[language].append(world.accuracy(place, language))
        say(f"alone: {device} {gated[language][-1]:.3f}")
        place.close()
    result = {language: statistics.mean(values) for language, values in gated.items()}
    return {"gated": result, "seconds_device": statistics.mean(seconds)}


def together(world: World) -> dict:
    """All sentences of all devices in one place, in as many steps for each language as a device has
    in all rounds together."""
    place, began = world.place("together"), time.monotonic()
    rows = [row for rows in world.rows.values() for row in rows]
    with place.model.begin_update(TASK, world.options(len(world.languages))) as update:
        update.add_examples(Examples.parse(lines(rows)))
        update.run(pulse("together"))
        update.commit()
    seconds = time.monotonic() - began
    gated = {language: world.accuracy(place, language) for language in world.languages}
    say(f"together: {mean(gated):.3f}")
    place.close()
    return {"gated": gated, "seconds": seconds}


def save(world: World, name: str, value: object) -> None:
    path = Path(world.arguments.out)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known["settings"] = {key: value for key, value in vars(world.arguments).items()
                         if key not in ("bundle", "data", "out", "folder")}
    known[name] = value
    path.write_text(json.dumps(known, indent=1), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--folder", required=True, help="an empty folder for the stores")
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--languages", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--base", type=int, default=40)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--clip-norm", type=float, default=10.0)
    parser.add_argument("--margin", type=float, default=0.02)
    parser.add_argument("--layers-top", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="who has which sentences, and training")
    parser.add_argument("--fleets", default=",".join(FLEETS))
    parser.add_argument("--only-fleets", action="store_true")
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    world = World(arguments, folder)
    base = world.place("base")
    before = {language: world.accuracy(base, language) for language in world.languages}
    base.close()
    say(f"base: {mean(before):.3f} {before}")
    save(world, "base", before)
    for name in filter(None, arguments.fleets.split(",")):
        Fleet(world, name).run()
        if name == "product" and not arguments.only_fleets:
            save(world, "alone", alone(world))
            save(world, "together", together(world))


if __name__ == "__main__":
    main()

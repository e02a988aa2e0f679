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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from polygraft import Engine, Examples, Model, ModelOptions, Store, UpdateOptions
from polygraft_fleet.data import lines, read, split_among
from polygraft_fleet.device import TASK

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
            shares = split_among(left, self.per_language, arguments.examples, language)
            for number, share in enumerate(shares):
                self.rows[f"{language}-{number}"] = share
        self.measured: dict[tuple[str, str], float] = {}
        self.base_file = folder / "base.safetensors"
        self.teach_base(base)

    def teach_base(self, rows: list[dict]) -> None:
        """The adapter that every device is delivered with: little data in all languages."""
        place = Place(self, "factory")
        options = UpdateOptions(seed=1, threads=self.arguments.threads, gate_enabled=False,
                                layers_top=self.arguments.layers_top)
        with place.model.begin_update(TASK, options) as update:
            update.add_examples(Examples.parse(lines(rows)))
            update.run(pulse("base"))
            update.commit()
        place.model.export_adapter(TASK, "mul", self.base_file)
        place.close()

    def options(self, languages: int) -> UpdateOptions:
        """An update with the steps and the gate of the rounds."""
        steps = self.arguments.rounds * self.arguments.steps * languages
        return UpdateOptions(seed=1, threads=self.arguments.threads, steps_max=steps,
                             gate_margin=self.arguments.margin)

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


def spoilt(kind: str, reply: bytes, earlier: bytes | None) -> bytes | None:
    """What a device sends that is broken or means harm; None sends nothing."""
    import struct

    if kind == "silent":
        return None
    if kind == "stale":
        return earlier if earlier is not None else reply[:-1]
    if kind == "nan":
        damaged = bytearray(reply)
        struct.pack_into("<f", damaged, len(damaged) - 36, float("nan"))
        return sealed(damaged)
    if kind == "huge":
        return sealed(scaled(reply, 1e6))
    return reply


def sealed(data: bytearray) -> bytes:
    """The bytes with a hash that fits them."""
    from blake3 import blake3

    data[-32:] = blake3(bytes(data[:-32])).digest()
    return bytes(data)


def scaled(reply: bytes, factor: float) -> bytearray:
    """All values of all deltas times a factor."""
    import numpy

    data = bytearray(reply)
    header = int.from_bytes(data[8:16], "little")
    at = 16 + header
    for length in json.loads(data[16:at])["sections"].values():
        start = at + 8 + int.from_bytes(data[at:at + 8], "little")
        values = numpy.frombuffer(bytes(data[start:at + length]), "<f4") * numpy.float32(factor)
        data[start:at + length] = values.astype("<f4").tobytes()
        at += length
    return data


def poisoned(rows: list[dict]) -> list[dict]:
    """The sentences of a device that teaches what is wrong: each label is the next one."""
    labels = sorted({row["label"] for row in rows})
    after = dict(zip(labels, labels[1:] + labels[:1]))
    return [{**row, "label": after[row["label"]]} for row in rows]


#: What the spoilt devices do, in turn.
GARBAGE = ["silent", "stale", "nan", "huge", "poison"]


def fleet(world: World, name: str, averaging: str, frozen: bool, garbage: float) -> dict:
    """Some rounds of the whole fleet."""
    arguments = world.arguments
    server = world.place(f"{name}-server")
    places = {device: world.place(f"{name}-{device}") for device in world.rows}
    names = sorted(places)
    count = round(garbage * len(names))
    # Every fifth device, so that no language has only spoilt ones.
    spoilt_devices = {names[at * len(names) // count]: GARBAGE[at % len(GARBAGE)]
                      for at in range(count)} if count else {}
    new = {device: Examples.parse(lines(poisoned(rows) if spoilt_devices.get(device) == "poison"
                                        else rows)) for device, rows in world.rows.items()}
    rows, earlier = [], {}
    aggregates: dict[str, bytes] = {}
    for number in range(1, arguments.rounds + 1):
        began, training_seconds, up = time.monotonic(), [], []
        # A message for each language, so that a device gets the base of its own one only.
        messages = {language: server.model.round_ask(TASK, {
            "languages": [language], "round": number, "seed": number, "with_bases": number == 1,
            "training": {"steps_max": arguments.steps, "down_frozen": frozen,
                         "clip_norm": arguments.clip_norm},
        }).data for language in world.languages}
        replies: dict[str, list[bytes]] = {language: [] for language in world.languages}
        down = []
        for device, place in places.items():
            started, language = time.monotonic(), device.rsplit("-", 1)[0]
            answer = place.model.round_reply(messages[language], new.pop(device, None),
                                             {"threads": arguments.threads})
            training_seconds.append(time.monotonic() - started)
            sent = spoilt(spoilt_devices.get(device, ""), answer.data, earlier.get(device))
            earlier[device] = answer.data
            if sent is not None:
                replies[language].append(sent)
                up.append(len(sent))
            if len(training_seconds) % 5 == 0:
                say(f"{name}: round {number}, {len(training_seconds)} of {len(places)} devices")
        refused: list[str] = []
        for language in world.languages:
            made = server.store.round_average(messages[language], replies[language],
                                              {"averaging": averaging})
            refused += [one["code"] for one in made.about["refused"]]
            if made.about["body"]["languages"]:
                aggregates[language] = made.data
        for data in aggregates.values():
            server.model.round_apply(data, {"activation": "always"})
        gates = {True: 0, False: 0}
        for device, place in places.items():
            language = device.rsplit("-", 1)[0]
            if language in aggregates:
                gate = {"gate_margin": arguments.margin}
                applied = place.model.round_apply(aggregates[language], gate)
                gates[applied[0]["activated"]] += 1
                down.append(len(aggregates[language]))
        honest = [one for one in places if spoilt_devices.get(one) != "poison"]
        gated = open_ = None
        if number == arguments.rounds or number % 5 == 0:
            gated = {language: statistics.mean(
                world.accuracy(places[one], language) for one in honest
                if one.startswith(language + "-")) for language in world.languages}
            open_ = {language: world.accuracy(server, language) for language in world.languages}
        row = {
            "round": number, "gated": gated, "ungated": open_, "activated": gates[True],
            "kept": gates[False], "refused": refused, "bytes_message": statistics.mean(map(len, messages.values())),
            "bytes_up": statistics.mean(up), "bytes_down": statistics.mean(down or [0]),
            "seconds_device": statistics.mean(training_seconds),
            "seconds": time.monotonic() - began,
        }
        rows.append(row)
        shown = f"gated {mean(gated):.3f}, ungated {mean(open_):.3f}, " if gated and open_ else ""
        say(f"{name}: round {number}: {shown}{gates[True]} activated, refused {refused}")
        save(world, name, rows)
    for place in [server, *places.values()]:
        place.close()
    return {"rounds": rows, "spoilt": spoilt_devices}


def mean(by_language: dict[str, float]) -> float:
    return statistics.mean(by_language.values())


def alone(world: World) -> dict:
    """Every device learns from its own sentences, in as many steps as in all rounds together."""
    gated: dict[str, list[float]] = {language: [] for language in world.languages}
    seconds = []
    for device, rows in world.rows.items():
        language, place = device.rsplit("-", 1)[0], world.place(f"alone-{device}")
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


#: Averaging, frozen first factors, share of spoilt devices.
FLEETS = {
    "product": ("product", False, 0.0),
    "garbage": ("product", False, 0.2),
    "factors": ("factors", False, 0.0),
    "frozen": ("factors", True, 0.0),
}


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
    parser.add_argument("--fleets", default="product,garbage,factors,frozen")
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
        averaging, frozen, garbage = FLEETS[name]
        fleet(world, name, averaging, frozen, garbage)
        if name == "product" and not arguments.only_fleets:
            save(world, "alone", alone(world))
            save(world, "together", together(world))


if __name__ == "__main__":
    main()

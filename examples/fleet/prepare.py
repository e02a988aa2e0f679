"""Prepares the demo of a fleet, and shows afterwards what each device serves.

    python examples/fleet/prepare.py --bundle BUNDLE --data DATA --out FOLDER [--show]

It trains the adapter that every device ships with on few sentences, gives each device its own
sentences and a store with that adapter, and writes Flower's configuration.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from polygraft import Examples, UpdateOptions
from polygraft_fleet import device
from polygraft_fleet.data import lines, read
from simulate import first, pulse

#: The devices: the language of each. The last one sends garbage.
DEVICES = {"de": "de", "tr": "tr", "el": "el", "garbage": "de"}
BASE, NEW, TESTS = 30, 120, 80

CONFIGURATION = """[superlink]
default = "fleet"

[superlink.fleet]
address = "127.0.0.1:8470"
insecure = true
"""


def prepare(bundle: str, data: Path, out: Path) -> None:
    base, left = [], {}
    for language in sorted(set(DEVICES.values())):
        taken, left[language] = first(read(data, "train", language), BASE)
        base += taken
    with device.opened(bundle, str(out / "server"), threads=2) as (model, _):
        options = UpdateOptions(seed=1, threads=2, gate_enabled=False, steps_max=40)
        with model.begin_update(device.TASK, options) as update:
            update.add_examples(Examples.parse(lines(base)))
            update.run(pulse("the adapter that devices ship with"))
            update.commit()
        model.export_adapter(device.TASK, "mul", out / "base.safetensors")
    for name, language in DEVICES.items():
        folder = out / name
        folder.mkdir(parents=True)
        about = {"name": name, "languages": [language]}
        (folder / "device.json").write_text(json.dumps(about), encoding="utf-8")
        rows = left[language][:NEW]
        (folder / "new.jsonl").write_text(lines(rows), encoding="utf-8")
        with device.opened(bundle, str(folder / "store")) as (model, _):
            device.install(model, out / "base.safetensors")
    (out / "flower").mkdir()
    (out / "flower" / "config.toml").write_text(CONFIGURATION, encoding="utf-8")


def show(bundle: str, data: Path, out: Path) -> None:
    print("\naccuracy on test sentences that nobody trained on:")
    for name, language in DEVICES.items():
        tests = Examples.parse(lines(read(data, "test", language)[:TESTS]))
        with device.opened(bundle, str(out / name / "store"), threads=2) as (model, store):
            after = model.evaluate(device.TASK, tests).languages[0]
            numbers = [one.number for one in store.versions(device.TASK)
                       if one.active and one.language == language]
            serving = f"its version {numbers[0]}" if numbers else "the adapter it shipped with"
            model.import_adapter("shipped", "mul", out / "base.safetensors")
            before = model.evaluate("shipped", tests).languages[0].score
            print(f"  {name:8} {language}: {before:.3f} when shipped, now {after.score:.3f} "
                  f"by {serving}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    (show if arguments.show else prepare)(arguments.bundle, arguments.data, arguments.out)


if __name__ == "__main__":
    main()

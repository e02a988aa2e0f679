"""Update with progress and cancel: teach the task `light` the examples of a file.

    python update.py BUNDLE STORE EXAMPLES [--steps-max N]

A line of EXAMPLES is {"lang": "de", "text": "Licht an", "label": "on"}. Ctrl-C cancels; nothing
has changed then.
"""

import argparse
import json
import sys

from polygraft import Engine, Model, ProgressBar, Store, UpdateOptions


# guide: begin
def update(model, path, options):
    """Trains, shows what the gate decided, and activates every language that is not worse."""
    bar = ProgressBar()
    with model.begin_update("light", options) as update, open(path, encoding="utf-8") as file:
        for line in file:
            example = json.loads(line)
            update.add(example["lang"], example["text"], example["label"])
        try:
            update.run(progress=bar)
        finally:
            bar.close()
        return update.commit()
# guide: end


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("store")
    parser.add_argument("examples")
    parser.add_argument("--steps-max", type=int, help="end training after this many steps")
    arguments = parser.parse_args()
    options = UpdateOptions(new_labels=True, steps_max=arguments.steps_max)
    with Engine() as engine, Store(arguments.store) as store:
        with Model(engine, arguments.bundle, store) as model:
            try:
                print(update(model, arguments.examples, options))
            except KeyboardInterrupt:
                sys.exit("interrupted: nothing has changed")


if __name__ == "__main__":
    main()

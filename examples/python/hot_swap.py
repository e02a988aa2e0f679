"""Hot swap: predictions run while an update trains, and use the new version once it is active.

    python hot_swap.py BUNDLE STORE EXAMPLES [STEPS_MAX]

EXAMPLES is a file as that of update.py, whose versions the store has already.
"""

import json
import sys
import threading
from collections import Counter

from polygraft import Engine, Model, Store, UpdateOptions


def serve(model, ended, answered):
    """Asks the same question again and again, and counts who answered."""
    while not ended.is_set():
        prediction = model.predict("light", "de", "Licht an", top_k=1)
        answered[f"{prediction.language} version {prediction.version}"] += 1
        ended.wait(0.01)


def main(bundle, folder, examples, steps_max="0"):
    with Engine() as engine, Store(folder) as store, Model(engine, bundle, store) as model:
        ended, answered = threading.Event(), Counter()
        thread = threading.Thread(target=serve, args=(model, ended, answered))
        thread.start()
        try:
            # Without the gate, so that there is a new version whatever these few examples show.
            options = UpdateOptions(
                strategy="per-language", gate_enabled=False, steps_max=int(steps_max)
            )
            with model.begin_update("light", options) as update, open(examples) as file:
                for example in map(json.loads, file):
                    update.add(example["lang"], example["text"], example["label"])
                update.run()
                update.commit()
            model.predict("light", "de", "Licht an")
        finally:
            ended.set()
            thread.join()
        for version, count in sorted(answered.items()):
            print(f"{version} answered {count} times")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) in (4, 5) else sys.exit(__doc__)

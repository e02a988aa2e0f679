"""Classify: ask a task for the labels of some texts.

    python classify.py BUNDLE STORE LANGUAGE TEXT...

The store has the task `light`, which update.py teaches.
"""

import sys

from polygraft import Engine, Model, Store, errors


# guide: begin
def main(bundle, folder, language, *texts):
    with Engine() as engine, Store(folder) as store, Model(engine, bundle, store) as model:
        try:
            predictions = model.predict_batch("light", language, texts)
        except errors.StoreNoVersionError as error:
            sys.exit(f"{error.message}: run update.py first")
        for text, prediction in zip(texts, predictions):
            version = f"{prediction.language} version {prediction.version}"
            print(f"{text}: {prediction.label} {prediction.probability:.3f} ({version})")
# guide: end


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 4 else sys.exit(__doc__)

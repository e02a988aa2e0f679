import sys
from polygraft import Engine, Examples, Model, Store, UpdateOptions

with Engine() as engine, Store(sys.argv[2]) as store, Model(engine, sys.argv[1], store) as model:
    # A few examples prove nothing to the gate, and the backbone is tiny.
    options = UpdateOptions(gate_enabled=False, rehearsal_held_out_percent=0, learning_rate=0.01)
    with model.begin_update("light", options) as update:
        rows = [("en", text.format(label), label) for label in ("on", "off")
                for text in ("turn {} the lamp", "lamp {}")]
        update.add_examples(Examples.labelled(rows))
        update.run()
        update.commit()
    print(model.predict("light", "en", "turn on the lamp").label)
    print("rolled back to", store.roll_back("light", "en"))

"""Ship: install a base adapter, look at the versions, roll back, and forget a person's examples.

    python ship.py BUNDLE STORE export LANGUAGE FILE   # what the maker ships
    python ship.py BUNDLE STORE install FILE           # on a device, for all languages
    python ship.py BUNDLE STORE roll-back LANGUAGE
    python ship.py BUNDLE STORE wipe LANGUAGE
"""

import sys

from polygraft import Engine, Model, Store


def show(store):
    for version in store.versions("light"):
        state = "pinned" if version.pinned else "active" if version.active else ""
        print(f"  {version.language} {version.number} {version.created:%Y-%m-%d} {state}".rstrip())


# guide: begin install
def install(model, store, path):
    """The gate activates it unless the device already has something better."""
    imported = model.import_adapter("light", "mul", path)
    print(f"version {imported.version}, {'active' if imported.activated else 'not active'}")
# guide: end install


# guide: begin roll-back
def roll_back(model, store, language):
    """Back to the version before, and no update changes that until unpin."""
    number = store.roll_back("light", language)
    if number is None:
        print(f"{language} has no version any more")
    else:
        store.pin("light", language)
        print(f"{language} is back on version {number}, pinned")
# guide: end roll-back


def wipe(model, store, language):
    """Also removes the versions that may have learnt from what is wiped."""
    store.discard_checkpoint("light")
    for version in store.versions("light"):
        if version.pinned:
            store.unpin("light", version.language)
    wiped = store.wipe("light", language=language, retire=True)
    print(f"{sum(wiped.examples.values())} examples and {len(wiped.versions)} versions are gone")


def export(model, store, language, path):
    model.export_adapter("light", language, path)


ACTIONS = {"export": export, "install": install, "roll-back": roll_back, "wipe": wipe}


def main(bundle, folder, action, *arguments):
    with Engine() as engine, Store(folder) as store, Model(engine, bundle, store) as model:
        ACTIONS[action](model, store, *arguments)
        show(store)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 4 and sys.argv[3] in ACTIONS else sys.exit(__doc__)

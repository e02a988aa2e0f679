"""Ship: look at the versions of a store, roll back, and keep a version whatever comes.

    python ship.py STORE LANGUAGE
"""

import sys

from polygraft import Store


def show(store):
    for version in store.versions("light"):
        state = "pinned" if version.pinned else "active" if version.active else ""
        print(f"  {version.language} {version.number} {version.created:%Y-%m-%d} {state}".rstrip())


def main(folder, language):
    with Store(folder) as store:
        print("versions:")
        show(store)
        number = store.roll_back("light", language)
        if number is None:
            print(f"{language} has no version any more")
        else:
            # No update changes the version until unpin.
            print(f"{language} is back on version {number}, pinned:")
            store.pin("light", language)
        show(store)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(__doc__)

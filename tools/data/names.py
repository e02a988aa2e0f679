"""Words to fill the gaps of sentence templates with: devices, places, food, music, messages.

In: the package file `cldr-annotations-full` (short names of emoji in many languages), or nothing;
and the word lists that a language's own sentence templates carry.
Out: {kind: sorted words} for one language. No word is invented here.
"""

import json
import re
import tarfile

# Which emoji name things of a kind. The kinds are device domains of the templates, and four more.
EMOJI = {
    "light": "💡🔦🕯🏮🪔🛋🎄⭐🖼🪞",
    "cover": "🚪🪟🏕🎪",
    "fan": "🪭💨🌀🚿",
    "media_player": "📺📻🔊🎧💻🎮📱🎬",
    "switch": "🔌☕🖨🍳🫖⏰🖥🛁🔔📡🧺🚜🧊",
    "lock": "🚪🔒🗄🧳🚲🚗",
    "climate": "🌡🔥🛏🛁🏠",
    "vacuum": "🧹🤖🧽",
    "valve": "🚰🚿⛲🛁🌷",
    "scene": "🎉🌅🌙🎬🎄🍽📖💤",
    "script": "🎉🌅🌙🎬🎄🍽📖💤",
    "person": "👩👨👶👴👵👸🤴🧙",
    "todo": "🛒📝📋🗒🎁",
    "weather": "🗼🗽🏖🏔🏝🏙",
    "lawn_mower": "🌱🚜🐑🌳",
    "input_boolean": "🔔🏖🌙🎉💤",
    "area": "🏠🏡🏢🏭🏨🏫🏪⛺🏰",
    "food": "🍎🍌🍇🍓🍞🧀🥚🥛🍚🍝🐟🍗🥕🥔🧅🍅🍫🍯🧈🌽🥜🍪🍰🍕🧂☕🍵🍺🥒🍆🥦🍋🍊🍐🍑🍉🥥",
    "music": "🎸🎻🎷🥁🎺🎹🎤🐱🐶🐻🦁🐧🦊🌞🌧🌈💃🏰🚀🌊🔥🌹🕊👻",
    "message": "👋🙏👍🍽💤🎉🚗📚🎂🏃🛁🎁",
    "place": "🏠🏫🏢🏥🏪🏖⛪🏟🏋",
}

# Where the templates' tag and the annotations' folder differ. Cornish has no annotations.
FOLDERS = {
    "nb": ["no"],
    "zh-CN": ["zh"],
    "zh-TW": ["zh-Hant"],
    "zh-HK": ["zh-Hant-HK", "zh-Hant"],
    "pt-BR": ["pt"],
    "pt": ["pt-PT", "pt"],
    "de-CH": ["de-CH", "de"],
    "kw": ["en"],
}
VARIATION_SELECTOR = "\ufe0f"

# Lists of the templates whose values are things; used when the annotations are not there.
THING_LISTS = ("cover_classes", "lock_domains", "media_class", "color")


def annotation_folders(language):
    """Folders to look into, the most specific one first."""
    return FOLDERS.get(language, [language]) + ["en"]


def read_annotations(archive_path, languages):
    """{folder: {emoji: short name}} for the folders that `languages` need."""
    wanted = {
        f"package/annotations/{folder}/annotations.json": folder
        for language in languages
        for folder in annotation_folders(language)
    }
    found = {}
    with tarfile.open(archive_path, "r:gz") as archive:
        for member in archive:
            if member.name in wanted and member.isfile():
                content = json.load(archive.extractfile(member))
                entries = content["annotations"]["annotations"]
                names = {emoji: entry["tts"][0] for emoji, entry in entries.items()
                         if entry.get("tts")}
                found[wanted[member.name]] = names
    return found


def words_from_annotations(annotations, language):
    """{kind: words}; a regional variant is completed from its main language, else English."""
    own = [folder for folder in annotation_folders(language)[:-1] if folder in annotations]
    names = {}
    for folder in reversed(own or ["en"]):
        names.update(annotations[folder])
    words = {}
    for kind, emojis in EMOJI.items():
        found = set()
        for emoji in emojis:
            name = names.get(emoji) or names.get(emoji + VARIATION_SELECTOR) or ""
            # Up-arrows mark "same as the parent language"; after a colon or bracket come details.
            if name and "↑" not in name:
                found.add(re.split(r"[:（(]", name)[0].strip())
        words[kind] = sorted(found - {""})
    return words


def words_from_lists(lists, expand):
    """{kind: words} from the templates' own lists; `expand` turns a value into plain text.

    The words are few, so all kinds share them.
    """
    found = set()
    for name in THING_LISTS:
        for value in lists.get(name, {}).get("values", []):
            found.add(expand(value if isinstance(value, str) else value["in"]))
    words = sorted(found - {""})
    return {kind: words for kind in EMOJI} if words else {}

"""Writes tokenizers.json: ids that Python's `tokenizers` gives, over all of its components.

Each line of the file is a `tokenizer.json` with what that library makes of the texts: ids of
single texts, ids and types of a pair, and the text of the ids. Every component is there with its
options, but for the character maps of SentencePiece, which the reference tokenizer has; most of
them stand before a Unigram of characters, which tells their outputs apart.

    python -m venv venv && venv/bin/pip install tokenizers==0.22.2
    venv/bin/python tests/oracle/tokenizers/make.py
"""

import json
import pathlib

from tokenizers import Tokenizer, __version__

TEXTS = [
    "",
    " ",
    "Turn on the light, please!",
    "  two  spaces \t tab\nline ",
    "don't we'll I'm they've",
    "Straße ÜBER İstanbul ışığı kapat",
    "включи свет на кухне №5",
    "打开客厅的灯光123。",
    "台所の電気をつけて ｶﾞｲﾄﾞ",
    "เปิดไฟในห้องครัว",
    "बत्ती चालू करो १२३",
    "شغّل الضوء ﷺ",
    "한국어 불 켜",
    "naïve café e\u0301 ﬁ ① ½ ²",
    "😀👍🏽 family👨‍👩‍👧 ok",
    "a_b-c.d,e:f;g(h)[i]{j}/k\\l",
    "x1y22z333 4444 55555,5",
    "zero\u200bwidth\u00a0nbsp\ufeffbom\u00ad",
    "<s>special</s> <mask>masked [NEW]new",
    "▁already ▁▁marked▁",
]
PAIR = ("turn it on", "включи 123")

LETTERS = {c for text in TEXTS for c in text.lower() + text if ord(c) < 0x500}
LETTERS = sorted(LETTERS | set("▁ĠĊ"))


def added(id, content, **flags):
    entry = {
        "id": id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return entry | flags


SPECIAL = [added(0, "<s>"), added(1, "<pad>"), added(2, "</s>"), added(3, "<unk>")]


def unigram(**options):
    pieces = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    pieces += [[letter, -5.0 - index / 64] for index, letter in enumerate(LETTERS)]
    pieces += [
        ["▁the", -3.0],
        ["ight", -4.0],
        ["▁", -2.5],
        ["on", -3.5],
        ["св", -4.5],
        ["12", -4.0],
    ]
    if options.get("byte_fallback"):
        pieces += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    seen, unique = set(), []
    for piece in pieces:
        if piece[0] not in seen:
            seen.add(piece[0])
            unique.append(piece)
    return {"type": "Unigram", "unk_id": 3, "byte_fallback": False, "vocab": unique} | options


def byte_characters():
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in kept else next(others)) for byte in range(256)]


MERGES = [
    ("Ġ", "t"),
    ("Ġt", "he"),
    ("h", "e"),
    ("i", "g"),
    ("ig", "h"),
    ("igh", "t"),
    ("o", "n"),
    ("Ð", "²"),
    ("1", "2"),
    ("Ġ", "Ġ"),
]


def bpe(alphabet, merges=MERGES, **options):
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *alphabet]
    usable = []
    for left, right in merges:
        if left in tokens and right in tokens:
            usable.append([left, right])
            tokens.append(left + right)
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": usable,
    } | options


def byte_bpe(**options):
    return bpe(byte_characters(), **({"unk_token": None} | options))


def wordpiece(**options):
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *LETTERS, *("##" + letter for letter in LETTERS)]
    tokens += ["turn", "on", "the", "light", "##ight", "включи", "##ключи", "don", "123"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return {
        "type": "WordPiece",
        "unk_token": "<unk>",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocabulary,
    } | options


def wordlevel():
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "the",
        "on",
        "light",
        ",",
        "!",
        "свет",
        "123",
        "don",
        "'",
        "t",
        "▁the",
        "▁on",
        "Turn",
        "灯",
        "光",
        " ",
        "a",
        "x",
        "1",
    ]
    return {
        "type": "WordLevel",
        "unk_token": "<unk>",
        "vocab": {word: index for index, word in enumerate(words)},
    }


def sequence(kind, members):
    return {"type": "Sequence", kind: members}


def metaspace(**options):
    return {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "always",
        "split": True,
    } | options


def split(pattern, behavior="Isolated", invert=False):
    kind = pattern if isinstance(pattern, dict) else {"Regex": pattern}
    return {"type": "Split", "pattern": kind, "behavior": behavior, "invert": invert}


def byte_level(**options):
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    } | options


def replace(pattern, content):
    kind = pattern if isinstance(pattern, dict) else {"Regex": pattern}
    return {"type": "Replace", "pattern": kind, "content": content}


def bert(**options):
    return {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    } | options


NORMALIZERS = {
    "none": None,
    "lowercase": {"type": "Lowercase"},
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "strip-left": {"type": "Strip", "strip_left": True, "strip_right": False},
    "strip-right": {"type": "Strip", "strip_left": False, "strip_right": True},
    "strip-accents": sequence("normalizers", [{"type": "NFD"}, {"type": "StripAccents"}]),
    "nfc": {"type": "NFC"},
    "nfd": {"type": "NFD"},
    "nfkc": {"type": "NFKC"},
    "nfkd": {"type": "NFKD"},
    "nmt": {"type": "Nmt"},
    "bert": bert(),
    "bert-cased": bert(lowercase=False),
    "bert-accents": bert(strip_accents=False),
    "bert-stripped": bert(lowercase=False, strip_accents=True),
    "bert-plain": bert(clean_text=False, handle_chinese_chars=False),
    "prepend": {"type": "Prepend", "prepend": "▁"},
    "replace": replace({"String": " "}, "▁"),
    "replace-longer": replace({"String": "on"}, "off off"),
    "collapse": replace(" {2,}", " "),
    "replace-spaces": replace(r"\s+", " "),
    "replace-classes": replace(r"[\p{Han}\p{Thai}]", "x"),
    "replace-anchors": replace(r"^\s|\s$", "_"),
    "replace-behind": replace(r"(?<=\p{L})\d+", "#"),
    "replace-sequence": sequence(
        "normalizers",
        [
            {"type": "Lowercase"},
            replace(r"[.,]", ""),
            {"type": "NFKC"},
            replace(" {2,}", " "),
            sequence(
                "normalizers",
                [replace("''", '"'), {"type": "Strip", "strip_left": True, "strip_right": True}],
            ),
        ],
    ),
    "byte-level": {"type": "ByteLevel"},
    "llama": sequence(
        "normalizers", [{"type": "Prepend", "prepend": "▁"}, replace({"String": " "}, "▁")]
    ),
    "albert": sequence(
        "normalizers",
        [
            replace({"String": "``"}, '"'),
            replace({"String": "''"}, '"'),
            {"type": "NFKD"},
            {"type": "StripAccents"},
            {"type": "Lowercase"},
            replace(" {2,}", " "),
        ],
    ),
}

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"
    r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = CL100K.replace("{1,3}", "")
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?"
    r"[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]

PRE_TOKENIZERS = {
    "bert": {"type": "BertPreTokenizer"},
    "whitespace": {"type": "Whitespace"},
    "whitespace-split": {"type": "WhitespaceSplit"},
    "digits": {"type": "Digits", "individual_digits": False},
    "digits-single": {"type": "Digits", "individual_digits": True},
    "delimiter": {"type": "CharDelimiterSplit", "delimiter": " "},
    "delimiter-letter": {"type": "CharDelimiterSplit", "delimiter": "e"},
    "scripts": {"type": "UnicodeScripts"},
    "fixed": {"type": "FixedLength", "length": 5},
    "metaspace": metaspace(),
    "metaspace-first": metaspace(prepend_scheme="first"),
    "metaspace-never": metaspace(prepend_scheme="never"),
    "metaspace-whole": metaspace(split=False),
    "metaspace-underscore": metaspace(replacement="_"),
    "t5": sequence("pretokenizers", [{"type": "WhitespaceSplit"}, metaspace()]),
    "t5-first": sequence(
        "pretokenizers", [{"type": "WhitespaceSplit"}, metaspace(prepend_scheme="first")]
    ),
    "t5-whole": sequence("pretokenizers", [{"type": "WhitespaceSplit"}, metaspace(split=False)]),
    "punctuation-metaspace": sequence(
        "pretokenizers", [{"type": "Punctuation", "behavior": "Isolated"}, metaspace()]
    ),
    "bert-punctuation": sequence(
        "pretokenizers",
        [{"type": "BertPreTokenizer"}, {"type": "Punctuation", "behavior": "Contiguous"}],
    ),
    "metaspace-digits": sequence(
        "pretokenizers", [metaspace(), {"type": "Digits", "individual_digits": True}]
    ),
    "nested": sequence(
        "pretokenizers",
        [
            sequence(
                "pretokenizers",
                [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}],
            ),
            {"type": "Digits", "individual_digits": True},
        ],
    ),
    "scripts-metaspace": sequence(
        "pretokenizers", [{"type": "UnicodeScripts"}, metaspace(prepend_scheme="first")]
    ),
    "byte-level": byte_level(),
    "byte-level-prefix": byte_level(add_prefix_space=True),
    "byte-level-first": sequence(
        "pretokenizers",
        [byte_level(use_regex=False), {"type": "Digits", "individual_digits": True}],
    ),
    "single-characters": split("."),
    "clip": split(CLIP, "Removed", True),
    "clip-words": sequence(
        "pretokenizers", [split(CLIP, "Removed", True), byte_level(use_regex=False)]
    ),
    "bloom": split(BLOOM),
    "deepseek": sequence("pretokenizers", [split(one) for one in DEEPSEEK]),
    "cl100k": split(CL100K, "Removed", True),
    "qwen": split(QWEN),
    "gpt2": split(GPT2),
    "gpt2-contiguous": split(GPT2, "Contiguous"),
    "lookbehind": split(r"(?<=[a-z])(?=[A-Z])|\s+", "Removed"),
    "possessive": split(r"[^\r\n\p{L}]?+\p{L}++|\s++"),
    "posix": split(r"[[:alpha:]]+|[[:digit:]]+"),
    "lines": split(r"^.+$"),
    "words": split(r"\w+|[^\w\s]+", "Removed", True),
}
PRE_TOKENIZERS |= {
    f"punctuation-{one}": {"type": "Punctuation", "behavior": one} for one in BEHAVIORS
}
PRE_TOKENIZERS |= {f"split-{one}": split({"String": " "}, one) for one in BEHAVIORS}
PRE_TOKENIZERS |= {f"pattern-{one}": split(r"[\s,]+", one) for one in BEHAVIORS}
PRE_TOKENIZERS |= {f"pattern-inverted-{one}": split(r"\p{L}+", one, True) for one in BEHAVIORS}


def template(single, pair, ids):
    def pieces(text):
        for piece in text.split():
            name, _, kind = piece.partition(":")
            place = "Sequence" if name.startswith("$") else "SpecialToken"
            yield {place: {"id": name.lstrip("$"), "type_id": int(kind or 0)}}

    return {
        "type": "TemplateProcessing",
        "single": list(pieces(single)),
        "pair": list(pieces(pair)),
        "special_tokens": {
            name: {"id": name, "ids": [id], "tokens": [name]} for name, id in ids.items()
        },
    }


MARKS = {"<s>": 0, "</s>": 2}
POST_PROCESSORS = {
    "none": None,
    "bert": {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]},
    "roberta": {
        "type": "RobertaProcessing",
        "sep": ["</s>", 2],
        "cls": ["<s>", 0],
        "trim_offsets": True,
        "add_prefix_space": True,
    },
    "byte-level": byte_level(),
    "template": template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", MARKS),
    "template-end": template("$A </s>", "$A </s> $B </s>", MARKS),
    "template-plain": template("$A", "$A $B:1", {}),
    "sequence": sequence(
        "processors", [byte_level(), template("<s> $A", "<s> $A <s> $B:1", MARKS)]
    ),
}

DECODERS = {
    "none": None,
    "byte-level": byte_level(),
    "fuse": {"type": "Fuse"},
    "byte-fallback": {"type": "ByteFallback"},
    "metaspace": {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "always",
        "split": True,
    },
    "wordpiece": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "bpe": {"type": "BPEDecoder", "suffix": "</w>"},
    "ctc": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
    "llama": sequence(
        "decoders",
        [
            replace({"String": "▁"}, " "),
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    ),
}


def tokenizer(model, **parts):
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": SPECIAL,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": model,
    } | parts


def configurations():
    for name, step in NORMALIZERS.items():
        yield f"normalizer {name}", tokenizer(unigram(), normalizer=step)
    for name, step in PRE_TOKENIZERS.items():
        yield f"pre-tokenizer {name}", tokenizer(unigram(), pre_tokenizer=step)
        if not name.startswith("byte-level"):
            yield f"wordlevel {name}", tokenizer(wordlevel(), pre_tokenizer=step)
    for name, step in POST_PROCESSORS.items():
        yield f"post-processor {name}", tokenizer(
            unigram(), post_processor=step, pre_tokenizer=metaspace()
        )
    for name, step in DECODERS.items():
        model = byte_bpe() if name == "byte-level" else unigram(byte_fallback=True)
        pre = byte_level() if name == "byte-level" else metaspace()
        yield f"decoder {name}", tokenizer(model, pre_tokenizer=pre, decoder=step)
    for name, step in {
        "plain": byte_level(),
        "prefix": byte_level(add_prefix_space=True),
        "whole": byte_level(use_regex=False),
        "digits": sequence(
            "pretokenizers",
            [{"type": "Digits", "individual_digits": True}, byte_level(use_regex=False)],
        ),
        "digits-prefix": sequence(
            "pretokenizers",
            [{"type": "Digits", "individual_digits": True}, byte_level(add_prefix_space=True)],
        ),
        "qwen": sequence("pretokenizers", [split(QWEN), byte_level(use_regex=False)]),
        "cl100k": sequence("pretokenizers", [split(CL100K), byte_level(use_regex=False)]),
        "clip": sequence(
            "pretokenizers", [split(CLIP, "Removed", True), byte_level(use_regex=False)]
        ),
        "bloom": sequence("pretokenizers", [split(BLOOM), byte_level(use_regex=False)]),
        "punctuation": sequence(
            "pretokenizers",
            [
                {"type": "Punctuation", "behavior": "Contiguous"},
                byte_level(use_regex=False),
                {"type": "Digits", "individual_digits": False},
            ],
        ),
    }.items():
        yield f"byte bpe {name}", tokenizer(byte_bpe(), pre_tokenizer=step, decoder=byte_level())
    yield "byte bpe roberta", tokenizer(
        byte_bpe(),
        pre_tokenizer=byte_level(add_prefix_space=True),
        post_processor=POST_PROCESSORS["roberta"],
        decoder=byte_level(),
    )
    yield "byte bpe normalized", tokenizer(
        byte_bpe(),
        normalizer=sequence(
            "normalizers", [{"type": "NFC"}, replace(r"\s+", " "), {"type": "Lowercase"}]
        ),
        pre_tokenizer=byte_level(),
    )
    yield "byte bpe ignoring merges", tokenizer(
        byte_bpe(ignore_merges=True), pre_tokenizer=byte_level()
    )
    yield "bpe of characters", tokenizer(bpe(LETTERS), pre_tokenizer=metaspace())
    yield "bpe fused", tokenizer(bpe(LETTERS, fuse_unk=True), normalizer=NORMALIZERS["llama"])
    yield "bpe clip", tokenizer(
        bpe(
            [*byte_characters(), *(one + "</w>" for one in byte_characters())],
            [("o", "n</w>"), ("t", "h"), ("th", "e</w>")],
            end_of_word_suffix="</w>",
        ),
        normalizer=sequence(
            "normalizers", [{"type": "NFC"}, replace(r"\s+", " "), {"type": "Lowercase"}]
        ),
        pre_tokenizer=PRE_TOKENIZERS["clip-words"],
        post_processor=POST_PROCESSORS["roberta"],
    )
    yield "wordpiece bert", tokenizer(
        wordpiece(),
        normalizer=bert(),
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor=POST_PROCESSORS["bert"],
        decoder=DECODERS["wordpiece"],
    )
    yield "wordpiece short", tokenizer(
        wordpiece(max_input_chars_per_word=4), pre_tokenizer={"type": "Whitespace"}
    )
    yield "wordpiece metaspace", tokenizer(
        wordpiece(),
        pre_tokenizer=sequence(
            "pretokenizers", [{"type": "BertPreTokenizer"}, metaspace(prepend_scheme="first")]
        ),
    )
    yield "unigram bytes", tokenizer(unigram(byte_fallback=True), pre_tokenizer=metaspace())
    new = [
        *SPECIAL,
        added(900, "<mask>", lstrip=True),
        added(901, "[NEW]", special=False),
        added(902, "light", single_word=True, normalized=True, special=False),
        added(903, "КУХНЕ", normalized=True, special=False, rstrip=True),
    ]
    for name, parts in {
        "metaspace": {"pre_tokenizer": metaspace()},
        "bert": {"normalizer": bert(), "pre_tokenizer": {"type": "BertPreTokenizer"}},
        "pattern": {
            "normalizer": sequence("normalizers", [replace("t", "t"), {"type": "Lowercase"}]),
            "pre_tokenizer": split(r"\w+|[^\w\s]+"),
        },
        "mixed": {"pre_tokenizer": PRE_TOKENIZERS["punctuation-metaspace"]},
    }.items():
        top = len(unigram()["vocab"])
        tokens = [*SPECIAL, *(entry | {"id": top + index} for index, entry in enumerate(new[4:]))]
        yield f"added tokens {name}", tokenizer(unigram(), added_tokens=tokens, **parts)
    yield "truncation and padding", tokenizer(
        unigram(),
        pre_tokenizer=metaspace(),
        padding={
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 1,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        },
    )


def rows():
    for name, configuration in configurations():
        oracle = Tokenizer.from_str(json.dumps(configuration))
        oracle.no_padding()
        ids = [oracle.encode(text).ids for text in TEXTS]
        pair = oracle.encode(*PAIR)
        yield {
            "name": name,
            "tokenizer": configuration,
            "ids": ids,
            "pair": {"ids": pair.ids, "types": pair.type_ids},
            "decoded": (
                [oracle.decode(row) for row in ids]
                if name.startswith(("decoder", "byte bpe"))
                else None
            ),
        }


def main():
    # Models repeat, so each is written once.
    models, entries = [], []
    for row in rows():
        model = row["tokenizer"]["model"]
        if model not in models:
            models.append(model)
        row["tokenizer"]["model"] = models.index(model)
        entries.append(json.dumps(row, ensure_ascii=False))
    head = json.dumps(
        {"tokenizers": __version__, "texts": TEXTS, "pair": PAIR, "models": models},
        ensure_ascii=False,
    )
    path = pathlib.Path(__file__).with_name("tokenizers.jsonl")
    path.write_text("\n".join([head, *entries]) + "\n", encoding="utf-8")
    print(len(entries), "tokenizers,", path.stat().st_size, "bytes")


main()

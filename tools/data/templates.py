"""Draw sentences from one language's sentence templates.

In: a language file of the package `home-assistant-intents`, words to fill gaps with, a random
generator. Out: sentences as pieces of text, each with the slot that it fills, or none. The template
grammar itself is parsed by the package `hassil`; this walks the parsed tree, and at each choice
draws one branch.
"""

from dataclasses import dataclass
from typing import Optional

from hassil.expression import (
    Alternative,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
)
from hassil.parse_expression import parse_sentence

# Rules may refer to each other; no real sentence nests this deep.
DEPTH_MAX = 40
DEFAULT_DOMAINS = ["light", "switch"]
WILDCARD_KINDS = {
    "timer_name": "food",
    "search_query": "music",
    "media": "music",
    "query": "music",
    "artist": "music",
    "album": "music",
    "track": "music",
    "zone": "place",
}
COMMAND_INTENTS = ("HassTurnOn", "HassTurnOff")
COMMAND_TRIES = 20


@dataclass(frozen=True)
class Piece:
    """Text as drawn, white space included; `slot` is the name of the gap that the text fills."""

    text: str
    slot: Optional[str] = None


class TemplateError(Exception):
    """A template refers to something that is not defined or that there is no word for."""


class Sampler:
    """Sentences of one language; every draw goes through the one generator given."""

    def __init__(self, language_file, random):
        self.file = language_file
        self.random = random
        self.words = {}
        self.parsed = {}

    def sentence(self, template, block):
        """One sentence as text with single spaces; `block` holds the template's fixed slots."""
        return plain(self.pieces(template, block))

    def pieces(self, template, block):
        """The same sentence before its spaces are put in order."""
        return self.draw(self.parse(template), block)

    def parse(self, template):
        if template not in self.parsed:
            self.parsed[template] = parse_sentence(template).expression
        return self.parsed[template]

    def draw(self, expression, block, depth=0):
        if depth > DEPTH_MAX:
            return []
        if isinstance(expression, TextChunk):
            return [Piece(expression.original_text)]
        if isinstance(expression, Alternative):
            if not expression.items:
                return []
            return self.draw(self.random.choice(expression.items), block, depth + 1)
        if isinstance(expression, Permutation):
            items = list(expression.items)
            self.random.shuffle(items)
            return self.draw_all(items, block, depth + 1, around=[Piece(" ")])
        if isinstance(expression, Sequence):
            return self.draw_all(expression.items, block, depth + 1)
        if isinstance(expression, RuleReference):
            rule = self.file["expansion_rules"].get(expression.rule_name)
            if rule is None:
                raise TemplateError(f"rule <{expression.rule_name}> is not defined")
            return self.draw(self.parse(rule), block, depth + 1)
        if isinstance(expression, ListReference):
            return [Piece(self.list_value(expression, block), expression.slot_name)]
        raise TemplateError(f"unexpected expression {type(expression).__name__}")

    def draw_all(self, expressions, block, depth, around=()):
        pieces = []
        for expression in expressions:
            pieces += [*around, *self.draw(expression, block, depth), *around]
        return pieces

    def list_value(self, reference, block):
        if reference.is_inline_range:
            start, end, step = reference.get_inline_range()
            return str(self.random.randrange(start, end + 1, step))
        name = reference.list_name
        if name == "name":
            return self.device(block)
        if name == "area":
            return self.word("area")
        if name == "floor":
            return str(self.random.randint(1, 5))
        definition = self.file["lists"].get(name)
        if definition is None or definition.get("wildcard"):
            return self.wildcard(name)
        if "range" in definition:
            limits = definition["range"]
            step = limits.get("step", 1)
            return str(self.random.randrange(limits["from"], limits["to"] + 1, step))
        value = self.random.choice(definition["values"])
        text = value if isinstance(value, str) else value["in"]
        return self.sentence(text, block)

    def device(self, block):
        """The name of a device of a domain that the template asks for."""
        domains = (block.get("requires_context") or {}).get("domain")
        domains = domains or (block.get("slots") or {}).get("domain") or DEFAULT_DOMAINS
        if isinstance(domains, dict):
            domains = domains.get("value", DEFAULT_DOMAINS[:1])
        if isinstance(domains, str):
            domains = [domains]
        known = [domain for domain in domains if self.words.get(domain)] or DEFAULT_DOMAINS
        return self.word(self.random.choice(known))

    def wildcard(self, name):
        """Free text: a short noun that suits the gap, or for a delayed command a command."""
        if name == "timer_command":
            command = self.command()
            if command is not None:
                return command
        return self.word("food" if "item" in name else WILDCARD_KINDS.get(name, "message"))

    def word(self, kind):
        words = self.words.get(kind)
        if not words:
            raise TemplateError(f"there is no word of the kind {kind}")
        return self.random.choice(words)

    def command(self):
        intents = self.file["intents"]
        blocks = [block for intent in COMMAND_INTENTS
                  for block in intents.get(intent, {}).get("data", [])]
        for _ in range(COMMAND_TRIES if blocks else 0):
            block = self.random.choice(blocks)
            template = self.random.choice(block["sentences"])
            if "timer" not in template:
                return self.sentence(template, block)
        return None


def plain(pieces):
    return " ".join("".join(piece.text for piece in pieces).split())

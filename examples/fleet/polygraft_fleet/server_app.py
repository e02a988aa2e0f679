"""The Flower application of the server: a strategy for each language.

The server is a store of polygraft without devices' data. It asks for a round from what is active
there, averages the replies, and applies the average: through its own gate where it has held-out
examples, else always. Devices get the average of their languages and decide for themselves.
"""

from __future__ import annotations

import time

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from polygraft_fleet import device, privacy

app = ServerApp()


class LanguageStrategy:
    """Which nodes learn a language, and how their replies are averaged."""

    def __init__(self, language: str, averaging: str, sharing: str) -> None:
        self.language = language
        self.options = {"averaging": averaging, "sharing": sharing, "languages": [language]}
        self.nodes: set[int] = set()
        #: The last average, for devices.
        self.aggregate: bytes | None = None

    def average(self, server, store, message: bytes, replies: list[bytes], always: bool) -> str:
        """Averages the replies and applies the average here."""
        made = store.round_average(message, replies, self.options)
        if not made.about["body"]["languages"]:
            return f"{self.language}: no usable reply"
        entry = made.about["body"]["languages"][self.language]
        activation = "always" if always else "gated"
        applied = server.round_apply(made.data, {"activation": activation})
        self.aggregate = made.data
        took = "takes" if applied[0]["activated"] else "does not take"
        return (f"{self.language}: {entry['devices']} devices, {entry['examples']} examples; "
                f"the server {took} it")


def say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)


def ask_nodes(grid: Grid, contents: dict[int, dict], kind: str, timeout: float) -> dict[int, dict]:
    """Sends each node its content and returns what came back in time, without errors."""
    messages = [
        Message(content=RecordDict({"polygraft": ConfigRecord(content)}), message_type=kind,
                dst_node_id=node)
        for node, content in contents.items()
    ]
    answers = {}
    for reply in grid.send_and_receive(messages, timeout=timeout):
        if reply.has_error():
            print(f"node {reply.metadata.src_node_id}: {reply.error.reason}", flush=True)
        else:
            answers[reply.metadata.src_node_id] = dict(reply.content["polygraft"])
    return answers


def meet(grid: Grid, settings: dict, started: float) -> dict[int, dict]:
    """Waits for the devices and asks each what it is about."""
    wanted = int(settings["devices"])
    while len(list(grid.get_node_ids())) < wanted:
        say(started, f"{len(list(grid.get_node_ids()))} of {wanted} devices are there")
        time.sleep(2)
    nodes = {node: {} for node in grid.get_node_ids()}
    return ask_nodes(grid, nodes, "query", float(settings["timeout"]))


@app.main()
def main(grid: Grid, context: Context) -> None:
    settings, started = dict(context.run_config), time.monotonic()
    about = meet(grid, settings, started)
    languages = sorted({language for one in about.values() for language in one["languages"]})
    strategies = {language: LanguageStrategy(language, str(settings["averaging"]),
                                             str(settings["sharing"])) for language in languages}
    for node, one in about.items():
        for language in one["languages"]:
            strategies[language].nodes.add(node)
    say(started, f"{len(about)} devices, languages {', '.join(languages)}")
    noise, rounds = float(settings["noise-multiplier"]), int(settings["rounds"])
    if noise > 0:
        spent = privacy.epsilon(noise, rounds)
        say(started, f"a device spends epsilon {spent:.2f} at delta 1e-5 in {rounds} rounds")
    training = {
        "steps_max": int(settings["steps-max"]),
        "down_frozen": bool(settings["down-frozen"]),
        "clip_norm": float(settings["clip-norm"]),
        "noise_multiplier": noise,
    }
    always, margin = bool(settings["server-always"]), float(settings["gate-margin"])
    with device.opened(str(settings["bundle"]), str(settings["store"])) as (server, store):
        for round_number in range(1, rounds + 1):
            one_round(grid, (server, store), strategies, started, {
                "languages": languages, "round": round_number, "seed": round_number,
                "training": training,
            }, always, margin, float(settings["timeout"]))
        contents = {}
        for node in about:
            content = with_aggregates(strategies, node, margin)
            if content:
                contents[node] = content
        for node, result in ask_nodes(grid, contents, "train", float(settings["timeout"])).items():
            say(started, f"{about[node]['name']} after the last round: {result.get('gate', '')}")


def with_aggregates(strategies: dict, node: int, margin: float) -> dict:
    """The last average of the node's language, if there is one."""
    for strategy in strategies.values():
        if node in strategy.nodes and strategy.aggregate is not None:
            return {"aggregate": strategy.aggregate, "gate_margin": margin}
    return {}


def one_round(grid, place, strategies, started, asked, always, margin, timeout) -> None:
    server, store = place
    nodes = {node for strategy in strategies.values() for node in strategy.nodes}
    message = server.round_ask(device.TASK, {**asked, "with_bases": True})
    say(started, f"round {asked['round']}: asks {len(nodes)} devices, "
                 f"{len(message.data):,} bytes each")
    contents = {node: {"message": message.data, **with_aggregates(strategies, node, margin)}
                for node in nodes}
    answers = ask_nodes(grid, contents, "train", timeout)
    replies = [answer["reply"] for answer in answers.values() if "reply" in answer]
    gates = "; ".join(answer["gate"] for answer in answers.values() if answer.get("gate"))
    say(started, f"round {asked['round']}: {len(replies)} replies, "
                 f"{sum(map(len, replies)) // max(1, len(replies)):,} bytes each")
    if gates:
        say(started, f"  the gates of the devices: {gates}")
    whole = store.round_average(message.data, replies)
    for refused in whole.about["refused"]:
        say(started, f"  refused: {refused['message']}")
    for strategy in strategies.values():
        say(started, "  " + strategy.average(server, store, message.data, replies, always))

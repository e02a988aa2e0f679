"""The Flower application of a device. A message asks for a reply; an aggregate, if one comes along,
first goes through the gate of this device."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from polygraft_fleet import device

app = ClientApp()


def applied(model, data: bytes, margin: float) -> str:
    """What the gate made of an aggregate, in a few words for the log of the server."""
    entries = model.round_apply(data, {"gate_margin": margin})
    words = [f"{one['language']} {'activated' if one['activated'] else 'kept'}" for one in entries]
    return ", ".join(words)


def through_gateway(folder: Path, asked: ConfigRecord, seconds: float) -> dict:
    """Lays the bytes where the gateway hands them to a device without Python, and waits for what
    the device sends."""
    (folder / "reply").unlink(missing_ok=True)
    if "aggregate" in asked:
        place(folder / "aggregate", asked["aggregate"])
    if "message" not in asked:
        return {}
    place(folder / "message", asked["message"])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (folder / "reply").exists():
            return {"reply": (folder / "reply").read_bytes()}
        time.sleep(0.5)
    (folder / "message").unlink(missing_ok=True)
    return {}


def place(path: Path, data: bytes) -> None:
    """Writes a file that is never seen half."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)


@app.train()
def train(message: Message, context: Context) -> Message:
    settings, asked = context.node_config, message.content["polygraft"]
    if "gateway" in settings:
        waited = float(settings.get("gateway-seconds", 90.0))
        result = through_gateway(Path(str(settings["gateway"])), asked, waited)
        return Message(content=RecordDict({"polygraft": ConfigRecord(result)}), reply_to=message)
    folder = Path(str(settings["folder"]))
    result: dict = {}
    with device.opened(str(settings["bundle"]), str(folder / "store")) as (model, _):
        if "aggregate" in asked:
            result["gate"] = applied(model, asked["aggregate"], float(asked["gate_margin"]))
        if "message" in asked:
            least = float(settings.get("noise-least", 0.0))
            result["reply"] = device.answer(model, folder, asked["message"], least)
            if settings.get("garbage", False):
                # A device of the demo that is broken.
                result["reply"] = result["reply"][:-40] + bytes(40)
    return Message(content=RecordDict({"polygraft": ConfigRecord(result)}), reply_to=message)


@app.query()
def query(message: Message, context: Context) -> Message:
    """What the device is about: its languages."""
    folder = Path(str(context.node_config["folder"]))
    about = json.loads((folder / "device.json").read_text(encoding="utf-8"))
    content = {"languages": about["languages"], "name": about["name"]}
    return Message(content=RecordDict({"polygraft": ConfigRecord(content)}), reply_to=message)

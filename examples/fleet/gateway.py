#!/usr/bin/env python3
"""A gateway for devices without Python: it hands them the bytes of rounds over HTTP.

    python examples/fleet/gateway.py --folder FOLDER [--port 8765]

It runs beside one SuperNode, whose node-config names the same folder under `gateway`. The device
asks with GET /message (204 while there is nothing to do), answers with POST /reply, and takes the
average with GET /aggregate. The gateway looks at nothing but sizes and kinds: what a reply is worth
is judged by who averages it, and an aggregate by the device's own gate.

It listens on 127.0.0.1 alone and knows no user names. Whoever reaches it can answer for the device,
so anything else than one machine needs a proxy with TLS and client certificates before it.
"""

from __future__ import annotations

import argparse
import http.server
import os
from pathlib import Path

#: The largest reply that is taken, in bytes.
REPLY_BYTES_MAX = 64 << 20
MAGIC = b"PGROUND\n"


def place(path: Path, data: bytes) -> None:
    """Writes a file that is never seen half."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)


class Handler(http.server.BaseHTTPRequestHandler):
    """The three requests of a device."""

    folder: Path
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        names = {"/message": "message", "/aggregate": "aggregate"}
        name = names.get(self.path)
        if name is None:
            self.finish_with(404)
            return
        try:
            self.finish_with(200, (self.folder / name).read_bytes())
        except FileNotFoundError:
            self.finish_with(204)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/reply" or not length.isdecimal():
            self.close_connection = True
            self.finish_with(404 if self.path != "/reply" else 411)
            return
        if int(length) > REPLY_BYTES_MAX:
            self.close_connection = True
            self.finish_with(413)
            return
        data = self.rfile.read(int(length))
        if len(data) != int(length) or not data.startswith(MAGIC):
            self.finish_with(400)
            return
        place(self.folder / "reply", data)
        # A message is answered once.
        (self.folder / "message").unlink(missing_ok=True)
        self.finish_with(204)

    def finish_with(self, status: int, data: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(data)))
        try:
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            # A device that has gone asks again.
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        print(f"gateway: {format % arguments}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8765)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    Handler.folder = arguments.folder
    with http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler) as server:
        print(f"gateway: 127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

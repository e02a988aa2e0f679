"""Serve: answer over HTTP, and learn while answering.

    python serve.py [--address HOST:PORT] [--steps-max N] BUNDLE STORE

    POST /predict   {"lang": "de", "text": "Licht an"}, answered with a label and the version
    POST /feedback  lines such as {"lang": "de", "text": "Licht an", "label": "on"}
    POST /update    trains on the feedback so far, in the background
    GET  /update    the progress of the running update, and what the last one changed
    GET  /healthz   200 while it serves
    GET  /metrics   for Prometheus

An update never stops the answers: it trains at the system's lowest priority, and its versions
become active between two predictions. SIGINT and SIGTERM end the service: running requests are
answered, and a running update is cancelled and changes nothing.
"""

import argparse
import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from polygraft import Engine, Examples, Model, Store, UpdateOptions, errors

TASK = "light"
BODY_BYTES_MAX = 1 << 20
# The upper bounds of the histogram of response times, in seconds.
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class Refused(Exception):
    """An error with the status of HTTP that belongs to it."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Learner:
    """Collects feedback, and runs one update at a time."""

    def __init__(self, model, steps_max):
        self.model, self.steps_max = model, steps_max
        self.lock, self.stopping, self.thread = threading.Lock(), threading.Event(), None
        self.waiting = []  # lists of examples that no update has taken yet
        self.now = {"running": False, "fraction": 0.0, "updates": 0, "changed": []}

    def state(self):
        with self.lock:
            return {**self.now, "waiting": sum(map(len, self.waiting))}

    def remember(self, lines):
        examples = Examples.parse(lines)
        with self.lock:
            self.waiting.append(examples)

    def start(self):
        with self.lock:
            if self.now["running"]:
                raise Refused(409, "an update is running")
            if not self.waiting:
                raise Refused(400, "there is no feedback to learn from")
            taken, self.waiting = self.waiting, []
            updates = self.now["updates"]
            self.now = {"running": True, "fraction": 0.0, "updates": updates, "changed": []}
            self.thread = threading.Thread(target=self.run, args=(taken, updates))
            self.thread.start()

    def run(self, taken, updates):
        try:
            ended = {"changed": self.learn(taken), "updates": updates + 1}
            taken = []
        except errors.Error as error:
            ended = {"error": str(error)}
        with self.lock:  # what it did not learn stays for the next one
            self.waiting = taken + self.waiting
            self.now = {**self.now, **ended, "running": False, "fraction": 0.0}

    def learn(self, taken):
        # Answers come first.
        options = UpdateOptions(
            new_labels=True, steps_max=self.steps_max, background=True, threads=1
        )
        with self.model.begin_update(TASK, options) as update:
            for examples in taken:
                update.add_examples(examples)
            update.run(progress=self.hear)
            report = update.commit()
        return [
            {"language": one.language, "version": one.version, "reason": one.reason}
            for one in report.languages if one.version
        ]

    def hear(self, progress):
        with self.lock:
            self.now["fraction"] = progress.fraction
        return not self.stopping.is_set()  # False cancels: nothing has changed then

    def stop(self):
        """Cancels a running update, and waits for its end."""
        self.stopping.set()
        if self.thread:
            self.thread.join()


def question(body):
    """The language and the text that a client asks about."""
    try:
        asked = json.loads(body)
        language, text = asked["lang"], asked["text"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, f"expected lang and text in JSON: {error}") from None
    if not (isinstance(language, str) and isinstance(text, str)):
        raise Refused(400, "expected texts in lang and text")
    return language, text


class Metrics:
    """Counts predictions, and writes the text format of Prometheus, version 0.0.4."""

    def __init__(self):
        self.lock, self.took, self.failed = threading.Lock(), 0.0, 0
        self.count, self.within = 0, [0] * len(BOUNDS)

    def answered(self, seconds):
        with self.lock:
            self.count, self.took = self.count + 1, self.took + seconds
            for index, bound in enumerate(BOUNDS):
                self.within[index] += seconds <= bound

    def refused(self):
        with self.lock:
            self.failed += 1

    def text(self, state):
        name = "polygraft_prediction_seconds"
        with self.lock:
            lines = [f"# TYPE {name} histogram"]
            for bound, count in zip([*BOUNDS, "+Inf"], [*self.within, self.count]):
                lines.append(f'{name}_bucket{{le="{bound}"}} {count}')
            lines += [f"{name}_sum {self.took}", f"{name}_count {self.count}"]
            for kind, one, value in [
                ("counter", "prediction_errors_total", self.failed),
                ("counter", "updates_total", state["updates"]),
                ("gauge", "update_running", int(state["running"])),
                ("gauge", "update_fraction", state["fraction"]),
                ("gauge", "feedback_waiting", state["waiting"]),
            ]:
                lines += [f"# TYPE polygraft_{one} {kind}", f"polygraft_{one} {value}"]
        return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    """One request, on a thread of its own. The class that serves has a model and a learner."""

    timeout = 5
    model, learner, metrics = None, None, None

    def predict(self, body):
        start = time.perf_counter()
        try:
            found = self.model.predict(TASK, *question(body), top_k=1)
        except Exception:
            self.metrics.refused()
            raise
        self.metrics.answered(time.perf_counter() - start)
        return 200, {
            "label": found.label, "probability": found.probability,
            "language": found.language, "version": found.version,
        }

    def feedback(self, body):
        self.learner.remember(body)
        return 202, self.learner.state()

    def update(self, _):
        self.learner.start()
        return 202, self.learner.state()

    def do_POST(self):
        self.answer({"/predict": self.predict, "/feedback": self.feedback, "/update": self.update})

    def do_GET(self):
        self.answer({
            "/update": lambda _: (200, self.learner.state()),
            "/healthz": lambda _: (200, "ok\n"),
            "/metrics": lambda _: (200, self.metrics.text(self.learner.state())),
        })

    def answer(self, routes):
        try:
            if self.path not in routes:
                raise Refused(404, f"there is no {self.path}")
            status, value = routes[self.path](self.body())
        except Refused as error:
            status, value = error.status, {"error": str(error)}
        except errors.StoreNoVersionError as error:
            status, value = 503, {"error": str(error)}  # nothing has been learnt yet
        except errors.Error as error:
            status = 500 if isinstance(error, errors.InternalError) else 400
            value = {"error": str(error)}
        text = value if isinstance(value, str) else json.dumps(value) + "\n"
        kind = "text/plain" if isinstance(value, str) else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def body(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            raise Refused(413, f"expected at most {BODY_BYTES_MAX} bytes")
        try:
            return self.rfile.read(int(length)).decode()
        except UnicodeDecodeError as error:
            raise Refused(400, str(error)) from None

    def log_message(self, *_):
        """/metrics counts what others would log."""


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the requests that are running


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--address", default="localhost:8080")
    parser.add_argument("--steps-max", type=int)
    parser.add_argument("bundle")
    parser.add_argument("store")
    arguments = parser.parse_args()
    host, _, port = arguments.address.rpartition(":")
    with Engine() as engine, Store(arguments.store) as store:
        with Model(engine, arguments.bundle, store) as model:
            Handler.model, Handler.metrics = model, Metrics()
            Handler.learner = Learner(model, arguments.steps_max)
            with Server((host, int(port)), Handler) as server:
                # shutdown waits for the loop of this thread, so it has a thread of its own.
                stop = lambda *_: threading.Thread(target=server.shutdown).start()
                signal.signal(signal.SIGINT, stop)
                signal.signal(signal.SIGTERM, stop)
                print("listening on %s:%d" % server.server_address[:2], file=sys.stderr, flush=True)
                server.serve_forever()
            Handler.learner.stop()


if __name__ == "__main__":
    main()

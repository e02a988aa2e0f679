"""Put ONNX Runtime for another machine into a folder, out of its pinned Python package.

    python3 tools/cross/onnxruntime.py PLATFORM CACHE OUT

PLATFORM is what the name of the package's file ends with, such as aarch64 or win_amd64. OUT is a
folder, which gets the library under the name that programs open. Standard library only.
"""

import re
import shutil
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import packages  # noqa: E402  (it lies in the folder above)


def main():
    wanted, cache, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    rows = [one for one in packages.read_lock() if one.name == "onnxruntime"]
    chosen = [one for one in rows if one.file.endswith(f"{wanted}.whl")]
    if not chosen:
        names = ", ".join(one.file for one in rows)
        raise SystemExit(f"onnxruntime: expected a file for {wanted} among {names}")
    wheel = packages.fetch(chosen[0], cache)
    out.mkdir(parents=True, exist_ok=True)
    library = re.compile(r"onnxruntime/capi/(libonnxruntime\.so[.0-9]*|onnxruntime[a-z_]*\.dll)")
    with zipfile.ZipFile(wheel) as file:
        names = [name for name in file.namelist() if library.fullmatch(name)]
        if not names:
            raise SystemExit(f"onnxruntime: found no library in {wheel.name}")
        for name in names:
            called = re.sub(r"\.so.*", ".so", Path(name).name)
            with file.open(name) as source, open(out / called, "wb") as target:
                shutil.copyfileobj(source, target)


main()

"""Runs all tests, and then checks that they called every function of the header.

With an argument it runs only the tests that have it in their name.
"""

import re
import signal
import sys
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import support  # noqa: E402  (it lies beside this file)

#: Functions of the header that this package does not offer yet.
NOT_OFFERED: set = set()


def uncalled():
    declared = set(re.findall(r"\b(polygraft_\w+)\(", support.HEADER))
    return sorted(declared - support.CALLED - NOT_OFFERED)


def each(tests):
    """The tests of a suite, one by one."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def main():
    # A shell starts what runs in the background with Ctrl-C ignored, and the tests are about it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("error", ResourceWarning)
    tests = unittest.defaultTestLoader.discover(str(HERE), top_level_dir=str(HERE))
    chosen = [test for test in each(tests) if not sys.argv[1:] or sys.argv[1] in test.id()]
    if not chosen:
        print(f"no test has {sys.argv[1:]} in its name", file=sys.stderr)
        return 2
    result = unittest.TextTestRunner(verbosity=1).run(unittest.TestSuite(chosen))
    if not result.wasSuccessful() or sys.argv[1:]:
        return int(not result.wasSuccessful())
    for name in uncalled():
        print(f"no test of the Python package calls {name}", file=sys.stderr)
    return 1 if uncalled() else 0


if __name__ == "__main__":
    sys.exit(main())

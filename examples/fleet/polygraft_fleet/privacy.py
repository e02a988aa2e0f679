"""The epsilon of a fleet's rounds, by the accountant of dp-accounting.

Each device clips its delta to a norm C and adds Gaussian noise of deviation `noise_multiplier * C`
to every value before it is sent, so the guarantee holds against the server, too, and is about all
examples of a device in a language at once. Two deltas of norm C are at most 2 C apart, which is the
sensitivity when the examples of a device are replaced by others. What a reply states beside the
delta, the number of examples, is not covered.
"""

from __future__ import annotations


def epsilon(noise_multiplier: float, rounds: int, languages: int = 1, delta: float = 1e-5) -> float:
    """The epsilon of a device that answers `rounds` rounds in `languages` languages."""
    from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
    from dp_accounting.pld import PLDAccountant

    if noise_multiplier <= 0:
        return float("inf")
    accountant = PLDAccountant()
    event = GaussianDpEvent(noise_multiplier / 2)
    accountant.compose(SelfComposedDpEvent(event, rounds * languages))
    return float(accountant.get_epsilon(delta))


def main() -> None:
    for multiplier in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        print(f"noise multiplier {multiplier:4}: epsilon {epsilon(multiplier, 10):8.2f} "
              "at delta 1e-5 after 10 rounds")


if __name__ == "__main__":
    main()

"""How the benchmarks time and what they print: sides interleaved in rounds, ratios paired within a round.

Within a round the sides run one after the other in a random order, so that a busy machine is fair to all; a ratio is
taken within its round, and a table gives the median of these ratios with a 95 % interval. The control is the first side
a second time: an interval that does not hold 1 there says how far the machine, not the side, moves a ratio.
"""

import math
import random
import statistics
import time


def interval(values):
    """Median of `values` and a 95 % interval for it, from order statistics alone: no shape of the noise is assumed.

    The k-th smallest and k-th largest of n values miss the median with probability 2 P(B < k), B binomial(n, 1/2); k
    is the largest with at most 5 %. Raises `ValueError` under six values, where it is more even for k = 1.
    """
    values, n = sorted(values), len(values)
    misses = lambda k: 2 * sum(math.comb(n, i) for i in range(k)) / 2**n
    if n < 6:
        raise ValueError(f"a 95 % interval was asked for from {n} values; measure at least 6 rounds.")
    k = max(k for k in range(1, n // 2 + 1) if misses(k) <= 0.05)
    return statistics.median(values), values[k - 1], values[n - k]


def timed(function, clock=time.perf_counter):
    """`function` as a side for `measure`: it runs and returns its seconds by `clock`."""

    def side():
        start = clock()
        function()
        return clock() - start

    return side


def measure(sides, rounds, lasting=0, few=()):
    """Seconds of every side in every round, {name: [...]}; `sides` maps a name to a function that returns seconds.

    There are at least so many `rounds`, and more until `lasting` seconds of wall time have gone; in these the sides
    named in `few` rest, so that they have values of the first rounds only.
    """
    seconds, start, done = {name: [] for name in sides}, time.perf_counter(), 0
    while done < rounds or time.perf_counter() - start < lasting:
        running = [name for name in sides if done < rounds or name not in few]
        for name in random.sample(running, len(running)):
            seconds[name].append(sides[name]())
        done += 1
    return seconds


def report(title, seconds, targets=None):
    """Print a row per side: median milliseconds, ratio to the first side, its interval and whether a target is met."""
    print(f"\n{title}\n{'':48}{'ms':>9}{'ratio':>8}   95 % interval    target")
    base = next(iter(seconds.values()))
    for name, values in seconds.items():
        middle, low, high = interval([value / b for value, b in zip(values, base, strict=False)])
        row = f"{name:48}{statistics.median(values) * 1e3:9.2f}{middle:8.3f}   {low:.3f} to {high:.3f}"
        print(row + verdict(low, high, (targets or {}).get(name)), flush=True)


def verdict(low, high, target):
    """What the interval says of a target ratio: met, missed, or open where the target lies inside; "" without one."""
    if target is None:
        return ""
    word = "met" if high <= target else "missed" if low > target else "open"
    return f"   at most {target:.2f}: {word}"

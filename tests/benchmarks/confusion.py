"""How often `vglab.diagnose` is right: on the families its rules were designed on, and on those set aside.

``python tests/benchmarks/confusion.py`` takes each family with three seeds; with ``design`` or ``aside`` behind it only
one half, so that who works on a rule need not see the other. A net is sick when its true state is another than healthy;
a diagnosis that stops with an error counts as a wrong state and a wrong cause.
"""

import sys
import time
from pathlib import Path

import pandas as pd
import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))  # the tests are no part of what is installed

SEEDS = range(3)


def evaluate(families, seeds=SEEDS):
    """Diagnose each of `families` with each of `seeds`.

    Returns a table with the columns family, seed, state, cause, got_state, got_cause, confidence, seconds, error.
    """
    import vglab as vg

    rows = []
    for name, family in families.items():
        for seed in seeds:
            parts, start = family(seed), time.perf_counter()
            try:
                found = vg.diagnose(*parts, remedies=False)
                got = {"got_state": found.state, "got_cause": found.cause, "confidence": found.confidence, "error": ""}
            except Exception as error:
                got = {"got_state": "error", "got_cause": "error", "confidence": 0.0, "error": repr(error)}
            truth = {"family": name, "seed": seed, "state": family.state, "cause": family.cause}
            rows.append({**truth, **got, "seconds": time.perf_counter() - start})
    return pd.DataFrame(rows)


def scores(table):
    """Counts of a table of `evaluate`: a row per score, with how many are right (or alarmed) of how many."""
    sick = table[table.state != "healthy"]
    healthy = table[table.state == "healthy"]
    right = {
        "state right, of all nets": table.state == table.got_state,
        "cause right, of all sick nets": sick.cause == sick.got_cause,
        "state and cause right, of all nets": (table.state == table.got_state) & (table.cause == table.got_cause),
        "healthy nets said to be sick": healthy.got_state != "healthy",
        "sick nets said to be healthy": sick.got_state == "healthy",
    }
    rows = [
        {"score": name, "nets": int(hits.sum()), "of": len(hits), "share": hits.mean()} for name, hits in right.items()
    ]
    return pd.DataFrame(rows).set_index("score")


def wrong(table):
    """The rows of a table of `evaluate` whose state or cause is not the true one."""
    return table[(table.state != table.got_state) | (table.cause != table.got_cause)]


def report(title, table):
    print(f"\n{title}: {table.family.nunique()} families, {len(table)} nets, {table.seconds.sum():.0f} s\n")
    print(scores(table).to_string(formatters={"share": "{:.1%}".format}), end="\n\n")
    for truth, got in (("state", "got_state"), ("cause", "got_cause")):
        known = table.replace({truth: {"": "(healthy)"}, got: {"": "(healthy)"}})
        print(
            pd.crosstab(known[truth], known[got], rownames=[f"true {truth}"], colnames=["got"]).to_string(), end="\n\n"
        )
    cases = wrong(table)
    print(cases.drop(columns="seconds").to_string(index=False) if len(cases) else "No wrong case.")


def main(halves=()):
    from tests.families import aside, design

    torch.set_num_threads(1)
    for half, module in {"design": design, "aside": aside}.items():
        if half in halves or not halves:
            report(half, evaluate(module.FAMILIES))


if __name__ == "__main__":
    main(sys.argv[1:])

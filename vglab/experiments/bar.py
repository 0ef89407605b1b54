"""A progress bar, or whoever else wants to be told."""

import os
from contextlib import contextmanager


@contextmanager
def telling(progress, total, *, unit, done=0):
    """Yield ``tell(done, *about)``: it moves a bar if `progress` is True, or calls ``progress(done, total, *about)``.

    The bar shows itself after a second and goes away at the end; ``TQDM_DISABLE=1`` in the environment keeps it off.
    """
    if callable(progress):
        yield lambda now, *about: progress(now, total, *about)
        return
    from tqdm.auto import tqdm

    off = not progress or os.environ.get("TQDM_DISABLE", "") not in ("", "0")  # tqdm does not ask in a notebook
    with tqdm(total=total, initial=done, leave=False, delay=1, unit=unit, disable=off) as bar:
        yield lambda now, *about: bar.update(now - bar.n)

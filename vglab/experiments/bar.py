"""A progress bar, or whoever else wants to be told."""

from contextlib import contextmanager


@contextmanager
def telling(progress, total, *, unit, done=0):
    """Yield ``tell(done, *about)``: it moves a bar if `progress` is True, or calls ``progress(done, total, *about)``.

    The bar shows itself after a second and goes away at the end.
    """
    if callable(progress):
        yield lambda now, *about: progress(now, total, *about)
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, initial=done, disable=not progress, leave=False, delay=1, unit=unit) as bar:
        yield lambda now, *about: bar.update(now - bar.n)

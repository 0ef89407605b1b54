"""Which of the two front ends a widget gets."""

import os


def front(model, view, start):
    """A `Stage`; a `Panel` where anywidget is missing or ``VGLAB_WIDGETS=plain`` stands in the environment."""
    if os.environ.get("VGLAB_WIDGETS") != "plain":
        try:
            from .stage import Stage
        except ImportError:
            pass
        else:
            return Stage(model, view, start)
    from .panel import Panel

    return Panel(model, view, start)

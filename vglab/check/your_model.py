"""The check of the page on a network of one's own: which of four patients has a gradient that vanishes."""

from .engine import Words

__all__ = ["suspects"]


suspects = Words(
    "90.1 patients",
    {"A": "data", "B": "nothing", "C": "gradient", "D": "rate"},
    choices=("gradient", "rate", "data", "nothing"),
    mistakes=[
        ({"A": "gradient", "B": "nothing", "C": "data", "D": "rate"}, "A's gradient is as long in the first layer as in the last; C's is not."),
        ({"A": "rate", "B": "nothing", "C": "gradient", "D": "data"}, "A's weights move as far in a step as those of B, which learns; D's hardly move."),
        ({"A": "data", "B": "nothing", "C": "rate", "D": "gradient"}, "D's gradient is as long in the first layer as in the last; its weights hardly move for another reason."),
        ({"A": "nothing", "B": "data", "C": "gradient", "D": "rate"}, "look at the loss: labels of other images cannot be learnt in sixty steps, and B's were."),
    ],
    praise="right; and only C's illness is one that the gradient shows.",
)  # fmt: skip

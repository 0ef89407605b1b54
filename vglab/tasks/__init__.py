"""Real data as tensors, without a download, and the classic tasks that ask for memory."""

from .images import Split, digits
from .sequences import adding, digits_by_row, latch
from .speech import speech
from .text import ALPHABET, alice, quotation
from .tokens import copy_back

__all__ = [
    "ALPHABET",
    "Split",
    "adding",
    "alice",
    "copy_back",
    "digits",
    "digits_by_row",
    "latch",
    "quotation",
    "speech",
]

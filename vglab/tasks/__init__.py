"""Real data as tensors, without a download, and the classic tasks that ask for memory."""

from .images import Split, digits
from .speech import speech
from .text import ALPHABET, alice, quotation

__all__ = ["ALPHABET", "Split", "alice", "digits", "quotation", "speech"]

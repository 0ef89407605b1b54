"""Real data as tensors, without a download, and the classic tasks that ask for memory."""

from .images import Split, digits

__all__ = ["Split", "digits"]

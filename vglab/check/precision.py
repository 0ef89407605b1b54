"""Checks of lesson 14: underflow, a loss scaler."""

__all__ = []

"""Checks of lesson 6: dead units, the gain of a leaky ReLU."""

__all__ = []

"""Checks of lesson 10: forget biases."""

__all__ = []

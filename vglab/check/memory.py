"""Checks of lesson 5: gradients through time, clipping, a matrix that is not normal."""

__all__ = []

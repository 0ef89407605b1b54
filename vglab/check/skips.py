"""Checks of lesson 9: a residual block, the paths through a network."""

__all__ = []

"""Checks of lesson 12: the edge of chaos."""

__all__ = []

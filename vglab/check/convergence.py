"""Checks of lesson 4: how far a step moves, how long a plateau lasts."""

__all__ = []

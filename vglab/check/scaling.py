"""Checks of lesson 7: Xavier and He by hand, the critical scale."""

__all__ = []

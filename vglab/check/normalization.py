"""Checks of lesson 8: batch normalization by hand."""

__all__ = []

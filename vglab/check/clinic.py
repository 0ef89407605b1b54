"""Checks of lesson 11: a diagnosis and a cure."""

__all__ = []

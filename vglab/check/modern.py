"""Checks of lesson 13: shattered gradients, the constants of DeepNorm."""

__all__ = []

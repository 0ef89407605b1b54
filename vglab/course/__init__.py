"""The machinery around the lessons: set-up, and the generator that makes notebooks from one source."""

"""Renderers of datasets that need no download."""

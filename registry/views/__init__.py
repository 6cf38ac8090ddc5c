"""The registry's pages. Those of a model and of a version show higher floors too and live in `portal.pages`."""

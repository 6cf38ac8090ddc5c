"""Models, versions, artifacts, datasets, evidence."""

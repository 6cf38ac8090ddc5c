"""Keys that take two people: asked for by one, decided about by another, then taken once by whoever asked."""

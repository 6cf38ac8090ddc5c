"""How another version comes to an endpoint: as a canary or a shadow, promoted or withdrawn; and the way back."""

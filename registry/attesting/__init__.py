"""Once a year whoever owns a model says with their name that they do, and that what is recorded of it is right."""

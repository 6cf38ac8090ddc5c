"""What can go wrong before anything runs."""


class SetupError(Exception):
    """The machine cannot run the portal as it is; the text is one sentence that says what to do."""

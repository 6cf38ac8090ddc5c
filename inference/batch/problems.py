"""Why rows cannot be scored, said so that whoever sent them can put it right."""


class BatchProblem(Exception):
    """Codes are stable; see docs/gateway.md."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

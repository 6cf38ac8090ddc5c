"""Why a model file is refused, said so that its author can act."""


class ModelProblem(Exception):
    """A model file that cannot be taken or run. Codes are stable; see docs/fairness.md."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

"""Why a table is refused, said so that its owner can repair it."""


class TableProblem(Exception):
    """A file that is no usable table. Codes are stable."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

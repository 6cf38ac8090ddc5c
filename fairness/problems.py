"""What is wrong with a dataset, said so that its owner can repair it."""


class DataProblem(Exception):
    """A dataset that cannot be judged. `row` counts from 1 and leaves a header line out."""

    def __init__(self, code: str, sentence: str, column: str | None = None, row: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.column = column
        self.row = row

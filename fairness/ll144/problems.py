"""What is wrong with what was asked for, said so that whoever asks can correct it."""


class Wrong(Exception):
    """`field` is the path of the input at fault."""

    def __init__(self, code: str, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence, self.field = code, sentence, field

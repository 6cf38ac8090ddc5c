"""PDFs are the same for the same data, tagged, and refused rather than made inaccessible."""

import pytest

from audits.typesetting import typeset

HEAD = """#let data = json(bytes(sys.inputs.at("data")))
#set document(title: data.title, date: none)
#set text(lang: "en")
= #data.title
#data.words
"""


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "page.typ"
    path.write_text(HEAD)
    return path


def test_the_same_data_give_the_same_bytes_and_other_data_others(template):
    first = typeset(template, {"title": "Title", "words": "=1+1 #[not markup] é"})
    assert first == typeset(template, {"title": "Title", "words": "=1+1 #[not markup] é"})
    assert first.startswith(b"%PDF-")
    assert first != typeset(template, {"title": "Title", "words": "other"})


def test_a_file_is_tagged_and_says_so(template):
    made = typeset(template, {"title": "Title", "words": "words"})
    assert b"<pdfuaid:part>1</pdfuaid:part>" in made
    assert b"/StructTreeRoot" in made
    assert b"/Lang(en)" in made


def test_a_picture_without_words_is_refused(template):
    from typst import TypstError

    template.write_text(HEAD + '#image(bytes("<svg xmlns=\\"http://www.w3.org/2000/svg\\"></svg>"), format: "svg")')
    with pytest.raises(TypstError, match="alt"):
        typeset(template, {"title": "Title", "words": "words"})


def test_letters_that_no_font_has_are_printed_as_their_numbers(template):
    def made(words):
        return typeset(template, {"title": "Title", "words": words})

    assert made("女\x00\ud800") == made("[U+5973][U+0000][U+D800]"), "known to lack"
    assert made("Škoda Ω שלום") != made("Škoda [U+03A9] שלום"), "what can be printed is"
    assert made("\u1200") == made("[U+1200]"), "found by trying"
    assert made("".join(map(chr, range(0x1200, 0x1240)))), "more than are tried one by one"

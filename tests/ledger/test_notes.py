"""Signed notes, checkpoints and proofs: the examples of C2SP, round trips, and everything that is not exactly one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import notes
from ledger.notes import COSIGNATURE, Checkpoint, SigningKey, VerifierKey, open_note, parse_checkpoint, sign

# c2sp.org/signed-note
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()
# golang.org/x/mod/sumdb/note, example_test.go
GO_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = GO_TEXT + f"\n— PeterNeumann {GO_SIGNATURE}\n".encode()
# c2sp.org/tlog-cosignature
LOG_LINE = "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8="
WITNESS_LINE = (
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
)
COSIGNED = f"""example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa {LOG_LINE}
— witness.example.com/w1 {WITNESS_LINE}
""".encode()

KEY, OTHER = SigningKey.generate("log.example/a"), SigningKey.generate("b")
WITNESS = SigningKey.generate("w", COSIGNATURE)
HEAD = Checkpoint("log.example/a", 7, bytes(range(32)))
SIGNED = sign(HEAD.body(), [KEY])


def test_the_example_of_signed_note():
    note = open_note(EXAMPLE, [EXAMPLE_KEY])
    assert note.body == b"This is an example message.\n"
    assert [one.key.vkey for one in note.signatures] == [EXAMPLE_KEY]
    assert (note.unknown, note.signatures[0].time) == ((), None)


def test_the_example_of_go():
    key = SigningKey.from_text(GO_KEY + "\n")
    assert (key.name, key.vkey, key.text) == ("PeterNeumann", GO_VKEY, GO_KEY)
    assert sign(GO_TEXT, [key]) == GO_NOTE
    assert open_note(GO_NOTE, [GO_VKEY]).body == GO_TEXT
    assert GO_KEY not in repr(key)


def test_the_example_of_tlog_cosignature():
    """Its keys are not given there, but the lines are: name, key id, and the time that the witness signed."""
    body, (own, witness) = notes.split_note(COSIGNED)
    assert parse_checkpoint(body) == Checkpoint(
        "example.com/behind-the-sofa", 20852163, base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    )
    assert (own.name, len(own.signature)) == ("example.com/behind-the-sofa", 64)
    assert (witness.name, f"{witness.id:08x}", len(witness.signature)) == ("witness.example.com/w1", "8d66cf3f", 72)
    assert int.from_bytes(witness.signature[:8], "big") == 1679315147
    assert body + b"\n" + own.line + witness.line == COSIGNED


def test_several_signatures_of_both_kinds():
    note = notes.with_cosignatures(sign(HEAD.body(), [KEY, OTHER]), WITNESS.line(HEAD.body(), 1_700_000_000))
    opened = open_note(note, [WITNESS.vkey, KEY.verifier])
    assert [(one.key.name, one.time) for one in opened.signatures] == [(KEY.name, None), ("w", 1_700_000_000)]
    assert [line.name for line in opened.unknown] == ["b"]
    assert opened.signed_by(KEY.name)
    assert opened.signed_by("w", COSIGNATURE)
    assert not opened.signed_by("w")
    assert notes.open_checkpoint(note, [KEY.vkey], KEY.name) == (HEAD, open_note(note, [KEY.vkey]))


def test_a_witness_answers_once():
    line = WITNESS.line(HEAD.body(), 5)
    note = notes.with_cosignatures(SIGNED, line + line)
    assert note == SIGNED + line == notes.with_cosignatures(note, line)
    assert len(open_note(SIGNED + line + line, [WITNESS.vkey]).signatures) == 1
    with pytest.raises(ValueError, match="begins with a dash"):
        notes.with_cosignatures(SIGNED, b"nonsense\n")


def test_a_cosignature_holds_its_time():
    line = WITNESS.line(HEAD.body(), 5)
    name, data = line.decode().split()[1], bytearray(base64.b64decode(line.decode().split()[2]))
    data[11] ^= 1
    forged = f"— {name} {base64.b64encode(data).decode()}\n".encode()
    with pytest.raises(ValueError, match="the signature of w is not valid"):
        open_note(SIGNED + forged, [WITNESS.vkey])
    short = f"— {name} {base64.b64encode(data[:-1]).decode()}\n".encode()
    with pytest.raises(ValueError, match="the signature of w is not valid"):
        open_note(SIGNED + short, [WITNESS.vkey])


def test_who_must_have_signed():
    with pytest.raises(ValueError, match="no known key signed"):
        open_note(SIGNED, [OTHER.vkey])
    with pytest.raises(ValueError, match=r"the signature of log.example/a is not valid"):
        open_note(SIGNED.replace(b"\n7\n", b"\n8\n"), [KEY.vkey])
    with pytest.raises(ValueError, match=r"is of log.example/a, not of other"):
        notes.open_checkpoint(SIGNED, [KEY.vkey], "other")
    with pytest.raises(ValueError, match="itself did not sign"):
        notes.open_checkpoint(sign(HEAD.body(), [OTHER]), [KEY.vkey, OTHER.vkey], KEY.name)


def test_a_witness_needs_a_time_and_a_log_none():
    for key, at in ((KEY, 5), (WITNESS, None)):
        with pytest.raises(ValueError, match="is made at a time"):
            key.line(HEAD.body(), at)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\n", "a\x01"])
def test_names_that_no_key_has(name):
    with pytest.raises(ValueError, match="a key's name"):
        SigningKey.generate(name)
    with pytest.raises(ValueError, match="key"):
        VerifierKey.parse(f"{name}+00000000+AAAA")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nonsense", "has the form"),
        ("a+530d903+AA==", "has the form"),
        ("a+530D903A+AA==", "has the form"),
        ("a+00000000+!", "is not base64"),
        ("a+00000000+", "is not base64"),
        ("a+00000000+AB==", "is not base64"),  # bits behind the end
        ("a+00000000+AAAA", "is not an Ed25519 key"),
        ("a+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(), "is not an Ed25519 key"),
        (EXAMPLE_KEY.replace("530d903a", "530d903b"), "does not match its id"),
        (EXAMPLE_KEY.replace("com/foo", "com/bar"), "does not match its id"),
    ],
)
def test_what_is_no_key(text, line):
    with pytest.raises(ValueError, match=line):
        VerifierKey.parse(text)
    with pytest.raises(ValueError, match=line):
        SigningKey.from_text("PRIVATE+KEY+" + text)


def test_a_signing_key_says_what_it_is():
    with pytest.raises(ValueError, match=r"begins with PRIVATE\+KEY\+"):
        SigningKey.from_text(EXAMPLE_KEY)
    assert SigningKey.from_text(WITNESS.text).vkey == WITNESS.vkey
    assert VerifierKey.parse(WITNESS.vkey) == WITNESS.verifier


@pytest.mark.parametrize(
    ("note", "line"),
    [
        (b"", "has a body, an empty line"),
        (b"text\n\n", "has a body, an empty line"),
        (EXAMPLE[:-1], "has a body, an empty line"),
        (EXAMPLE.replace(b"\n\n", b"\n"), "has a body, an empty line"),
        (EXAMPLE.replace("—".encode(), b"-"), "begins with a dash"),
        (EXAMPLE.replace(b"example.com/foo ", b""), "a signature|a key's name|base64"),
        (EXAMPLE.replace(b"aQM=", b"aQM"), "is not base64"),
        (EXAMPLE + "— a AAAA\n".encode(), "the signature of a is too short"),
        (EXAMPLE + EXAMPLE.splitlines(True)[-1] * 100, "at most 100 signatures, not 101"),
        (EXAMPLE.replace(b"is an", b"is\tan"), "no control characters"),
        (b"\xff" + EXAMPLE, "UTF-8"),
        (b"a" * 1_000_001, "at most 1000000 bytes"),
    ],
)
def test_what_is_no_note(note, line):
    with pytest.raises(ValueError, match=line):
        open_note(note, [EXAMPLE_KEY])


def test_a_body_ends_with_a_newline():
    with pytest.raises(ValueError, match="ends with a newline"):
        sign(b"text", [KEY])
    with pytest.raises(ValueError, match="no control characters"):
        sign(b"text\r\n", [KEY])
    assert open_note(sign(b"one\n\ntwo\n", [KEY]), [KEY.vkey]).body == b"one\n\ntwo\n"


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("", "at least three lines"),
        (f"a\n1\n{ROOT}", "at least three lines"),
        (f"\n1\n{ROOT}\n", "at least three lines"),
        (f"a\n1\n{ROOT}\n\n", "at least three lines"),
        (f"a\n01\n{ROOT}\n", "decimal number"),
        (f"a\n-1\n{ROOT}\n", "decimal number"),
        (f"a\n+1\n{ROOT}\n", "decimal number"),
        (f"a\n١\n{ROOT}\n", "decimal number"),
        (f"a\n{1 << 63}\n{ROOT}\n", "decimal number"),
        ("a\n1\nAAAA\n", "has 32 bytes, not 3"),
        ("a\n1\n?\n", "is not base64"),
        (f"a\r\n1\n{ROOT}\n", "no control characters"),
    ],
)
def test_what_is_no_checkpoint(body, line):
    with pytest.raises(ValueError, match=line):
        parse_checkpoint(body.encode())


def test_what_cannot_be_written_as_a_checkpoint():
    for origin, extensions, line in (
        ("a\nb", (), "is not base64"),
        ("a", ("x\ny",), "is not empty and has no newline"),
    ):
        with pytest.raises(ValueError, match=line):
            Checkpoint(origin, 1, bytes(32), extensions).body()


@given(
    st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=20), max_size=3),
)
def test_checkpoints_round_trip(origin, size, root, extensions):
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert parse_checkpoint(checkpoint.body()) == checkpoint


@given(
    st.integers(0, (1 << 63) - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(max_size=40)
)
def test_proofs_round_trip(index, hashes, extra):
    text = notes.proof_text(index, hashes, SIGNED, extra)
    assert notes.parse_proof(text) == notes.Proof(index, tuple(hashes), SIGNED, extra)
    assert text.startswith(b"c2sp.org/tlog-proof@v1\n")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: b"", "begins with"),
        (lambda text: text.replace(b"@v1", b"@v2"), "begins with"),
        (lambda text: text.replace(b"index 5\n", b""), "names the index"),
        (lambda text: text.split(b"\n\n")[0].replace(b"\nindex 5", b"") + b"\n\n", "names the index"),
        (lambda text: text.replace(b"index 5", b"index 05"), "decimal number"),
        (lambda text: text.replace(b"index 5\n", b"index 5\nAAAA\n"), "at most 63 hashes of 32 bytes"),
        (lambda text: text.replace(b"index 5\n", b"index 5\n" + f"{ROOT}\n".encode() * 64),
         "at most 63 hashes"),
        (lambda text: text.replace(b"index 5\n", b"index 5\n?\n"), "is not base64"),
        (lambda text: text.replace(b"index 5", b"extra ?\nindex 5"), "extra data of a proof is not base64"),
        (lambda text: text[: text.index(b"\n\n") + 2], "has a body, an empty line"),
    ],
)  # fmt: skip
def test_what_is_no_proof(change, line):
    with pytest.raises(ValueError, match=line):
        notes.parse_proof(change(notes.proof_text(5, [], SIGNED)))

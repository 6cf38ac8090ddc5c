"""Makes, shows and retires signing keys in a file: `python -m ledger.log_key`. Needs no settings and no database.

Several keys in the log's file are all current: each checkpoint is signed by every one of them, so that a new key is
known before an old one goes. Public keys stay published for ever; the sequencer does that when it starts.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ledger import keys
from ledger.notes import SigningKey, open_note


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 2 with a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m ledger.log_key", description=__doc__.partition("\n")[0])
    acts = parser.add_subparsers(dest="act", required=True)
    new = acts.add_parser("new", help="make a key; in a file that has one, add it beside that one")
    new.add_argument("file", type=Path)
    new.add_argument("--name", required=True, help="LOG_ORIGIN for the log's key; LOG_ORIGIN/portal for the portal's")
    new.add_argument("--replace", action="store_true", help="take the file's keys away instead of keeping them beside")
    show = acts.add_parser("show", help="print the public keys of a file")
    show.add_argument("file", type=Path)
    retire = acts.add_parser("retire", help="take a key out of a file, once another has signed beside it")
    retire.add_argument("file", type=Path)
    retire.add_argument("id", help="the eight hexadecimal digits in the middle of its public key")
    retire.add_argument("--checkpoint", type=Path, help="the newest checkpoint, to see that the others sign already")
    retire.add_argument("--compromised", action="store_true", help="do not wait for that; follow docs/operations.md")
    wanted = parser.parse_args(arguments)
    try:
        if wanted.act == "new":
            return make(wanted.file, wanted.name, wanted.replace)
        if wanted.act == "retire":
            return take_out(wanted.file, wanted.id, wanted.checkpoint, wanted.compromised)
        for key in held(wanted.file):
            print(key.vkey)
    except keys.KeyFault as fault:
        print(fault, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or wanted.file} cannot be written ({error.strerror}).", file=sys.stderr)
        return 2
    return 0


def held(path: Path) -> tuple[SigningKey, ...]:
    return keys.load("LOG_KEY", value="", file=str(path))


def make(path: Path, name: str, replace: bool) -> int:
    before = held(path) if os.path.lexists(path) and not replace else ()
    if any(key.name != name for key in before):
        raise keys.KeyFault(f"{path} holds keys of another name ({before[0].name}); choose another file or name.")
    try:
        key = SigningKey.generate(name)
    except ValueError as error:
        raise keys.KeyFault(f"{name!r} cannot be a key's name: no spaces and no plus sign.") from error
    keys.write(path, [*before, key])
    print(key.vkey)
    return 0


def take_out(path: Path, wanted: str, checkpoint: Path | None, compromised: bool) -> int:
    current = held(path)
    left = [key for key in current if f"{key.verifier.id:08x}" != wanted.lower()]
    if len(left) == len(current):
        raise keys.KeyFault(f"{path} holds no key {wanted}; it holds {', '.join(key.vkey for key in current)}.")
    if not left:
        raise keys.KeyFault(f"{wanted} is the only key in {path}. Make another first, with {keys.make(path)}.")
    if not compromised:
        if checkpoint is None:
            raise keys.KeyFault("Name the newest checkpoint with --checkpoint: the keys that stay must have signed it.")
        try:
            open_note(checkpoint.read_bytes(), [left[-1].vkey])
        except (OSError, ValueError) as error:
            raise keys.KeyFault(
                f"{checkpoint} is not signed by {left[-1].vkey} yet. Restart the sequencer, wait for the next "
                "checkpoint and for those who pin keys, then retire the old one."
            ) from error
    keys.write(path, left)
    print("\n".join(key.vkey for key in left))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

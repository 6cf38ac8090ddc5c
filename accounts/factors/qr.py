"""A QR code as the path of an SVG, drawn on the server: no script, no picture from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

QUIET = 4  # modules around it, as the standard asks


@dataclass(frozen=True)
class Drawn:
    """`path` in units of one module, within a square of `size`."""

    path: str
    size: int


def draw(text: str) -> Drawn:
    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET)
    code.add_data(text)
    rows = code.get_matrix()
    dark = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, on in enumerate(row) if on)
    return Drawn("".join(dark), len(rows))

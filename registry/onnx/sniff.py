"""Recognises, from the first bytes of a file, what is certainly no ONNX model."""

from __future__ import annotations

from registry.onnx.problems import ModelProblem

EXPORT = "Export the model to ONNX (skl2onnx, torch.onnx, tf2onnx, onnxmltools) and upload that."
ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive, as PyTorch, Keras and skops write",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes",
    b"\x1f\x8b": "a gzip file",
    b"x\x9c": "a compressed file, as joblib writes",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PAR1": "a Parquet file, which holds data and no model",
    b"%PDF": "a PDF",
}
FIRST_PICKLE_LINES = (
    b"ccopy_reg\n",
    b"ccopyreg\n",
    b"c__builtin__\n",
    b"cbuiltins\n",
    b"(dp0\n",
    b"(lp0\n",
    b"csklearn.",
)


def refuse_obvious(head: bytes) -> None:
    """Raises ModelProblem when the first bytes (2 KiB are plenty) belong to a pickle or to another known format."""
    if not head:
        raise ModelProblem("not_onnx", f"The file is empty. {EXPORT}")
    is_pickle = head[0] == 0x80 and len(head) > 1 and head[1] <= 5
    if is_pickle or head.startswith(FIRST_PICKLE_LINES) or (head.startswith(b"PK\x03\x04") and b".pkl" in head):
        raise ModelProblem(
            "pickle",
            f"This is a pickle. Opening one runs whatever code it holds, so it is never opened here. {EXPORT}",
        )
    for magic, words in ARCHIVES.items():
        if head.startswith(magic):
            raise ModelProblem("not_onnx", f"This is {words}, not an ONNX model. {EXPORT}")
    if head[:1] in b"{[<" or head.startswith(b"tree\n"):
        raise ModelProblem("not_onnx", f"This is text, not an ONNX model. {EXPORT}")

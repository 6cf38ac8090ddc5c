"""Builders of valid worlds, each through the services. `a_version(cast)` makes whatever it needs beneath itself."""

from __future__ import annotations

import csv
import io
import itertools
import random
from functools import cache
from typing import Any

from tests.ready import standing_ready

NUMBERS = itertools.count(1)
FEATURES = ("income", "debt")
RULE = {"kind": "threshold", "output": "probabilities", "class": 1, "at_least": 0.5}


@cache
def onnx_bytes(weight: float = 1.0, features: int = 2) -> bytes:
    """A tiny logistic model: float input `X` of so many columns, outputs `label` and `probabilities` (two columns)."""
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node(
        "LinearClassifier", ["X"], ["label", "scores"], domain="ai.onnx.ml",
        coefficients=[-weight] * features + [weight] * features, intercepts=[0.0, 0.0], classlabels_ints=[0, 1],
        multi_class=0, post_transform="NONE",
    )  # fmt: skip
    softmax = helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1)
    graph = helper.make_graph(
        [node, softmax],
        "tiny",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, features])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8
    )
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


@cache
def csv_bytes(rows: int = 200, seed: int = 7) -> bytes:
    """Loans: `approved` (1 or 0), `group` (a or b), `income`, `debt`. Group b is approved less often."""
    dice = random.Random(seed)  # noqa: S311
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["approved", "group", *FEATURES])
    for number in range(rows):
        group = "b" if number % 4 == 0 else "a"
        approved = int(dice.random() < (0.6 if group == "b" else 0.85))
        writer.writerow([approved, group, round(dice.gauss(0.5, 1), 3), round(dice.gauss(-0.2, 1), 3)])
    return out.getvalue().encode()


def an_upload(
    cast: Any, data: bytes = b"hello\n", filename: str = "notes.txt", by: Any = None, team: Any = None
) -> Any:
    from registry.services import receive_upload

    return receive_upload(by=by or cast.developer, team=team or cast.team, chunks=[data], filename=filename)


def a_model(cast: Any, name: str | None = None, by: Any = None, team: Any = None) -> Any:
    """A model of team Credit, owned by the developer."""
    from registry.services import register_model

    name = name or f"Mortgage screening {next(NUMBERS)}"
    return register_model(
        by=by or cast.developer, team=team or cast.team, name=name, purpose="Screens applications for home loans."
    )


@standing_ready
def a_version(cast: Any, model: Any = None, *, weight: float = 1.0, by: Any = None, **changes: Any) -> Any:
    """A version by the developer: the tiny model, at least 0.5 for class 1, a card, the developer as contributor."""
    from registry.services import register_version

    by = by or cast.developer
    model = model or a_model(cast, by=by)
    given = {
        "features": list(FEATURES),
        "decision_rule": RULE,
        "card": "# Intended use\n\nScreening of home loans.\n\n# Limitations\n\nNot for business loans.\n",
        "notes": "First cut.",
        "contributors": [by],
        **changes,
    }
    upload = an_upload(cast, onnx_bytes(weight), "tiny.onnx", by=by, team=model.team)
    return register_version(by=by, model=model, upload=upload, **given)


def a_pinned_version(cast: Any, model: Any = None, **changes: Any) -> Any:
    """One whose bytes are elsewhere; it costs no process that looks at a file."""
    from registry.pinned.services import register_pinned_version

    given = {
        "provider": "Scores Inc.", "upstream_version": "score-7", "configuration": "yes from 620 on",
        "contributors": [cast.developer], **changes,
    }  # fmt: skip
    return register_pinned_version(by=cast.developer, model=model or a_model(cast), **given)


def a_dataset(cast: Any, *, data: bytes | None = None, by: Any = None, **changes: Any) -> Any:
    """A CSV of 200 loans with outcome `approved`, sensitive `group` and the two features."""
    from registry.services import register_dataset

    by = by or cast.developer
    given = {
        "name": f"Loans {next(NUMBERS)}",
        "purpose": "test",
        "roles": {"approved": "label", "group": "sensitive", "income": "feature", "debt": "feature"},
        "positive_class": "1",
        "source": "Drawn for tests.",
        "lawful_basis": "Art. 6(1)(f) GDPR",
        **changes,
    }
    upload = an_upload(cast, data or csv_bytes(), "loans.csv", by=by)
    return register_dataset(by=by, team=cast.team, upload=upload, **given)


def a_document(cast: Any, version: Any, by: Any = None, title: str = "Validation report") -> Any:
    """Submitted evidence about a version, by the validator."""
    from registry.services import attach_evidence

    by = by or cast.validator
    upload = an_upload(cast, f"{title}\n".encode(), "report.md", by=by, team=version.model.team)
    return attach_evidence(by=by, version=version, kind="validation_report", title=title, upload=upload)

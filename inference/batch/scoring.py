"""What a worker does for a batch: the stored rows and the signed bytes in, one file out; the gate before every chunk.

Rows of a connection are read into the batch's own file first, and are stored rows like any others from then on. A
chunk is safe in the storage before its row in the database says that it is done, so a worker that is killed anywhere
repeats at most the chunk it was at. Only task bodies call this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from audits.exports import keeping
from inference.batch import extracting, parts, rows
from inference.batch.asking import Terms, check_still
from inference.batch.extracts import forget_extract
from inference.batch.models import Batch
from inference.batch.problems import BatchProblem
from inference.batch.services import PERMISSION, Scored, forget_parts, record_part
from inference.batch.values import array_of, columns_of
from jobs.claims import Claim
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Artifact
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits, ModelFacts
from registry.onnx.problems import ModelProblem
from registry.onnx.sandbox import Scorer
from registry.processing.opening import check_there

Progress = Callable[[float, str], None]
# One thread, as in the gateway; seconds of processor for the whole batch.
LIMITS = Limits(cpu_seconds=6 * 3600, threads=1)


def score(batch: Batch, claim: Claim, progress: Progress) -> Scored:
    """Score what is left to be scored, and put it all into one file; up to where the gate says no.

    Raises BatchProblem, ModelProblem, Refusal, Denied, Lost or Cancelled.
    """
    if batch.ended_at is not None:
        raise Refusal("batch_ended", "This batch has ended for good. Run a new one.")
    inputs = claim.job.inputs
    terms = Terms(inputs["model_digest"], inputs["decision_rule"], inputs["revision"])
    if not batch.asked_by.has_perm(PERMISSION, batch):
        raise Denied(PERMISSION)
    stopped = said_no(batch, terms)
    if stopped is None:
        if batch.dataset is not None:
            check_there(batch.dataset)
            read_once(batch, claim, progress)
        stopped = scored_until(batch, claim, terms, progress)
    done = list(batch.parts.all())
    if stopped is not None and (bad := parts.first_bad(done)):
        done = [part for part in done if part.number < bad.number]
    total = sum(part.rows for part in done)
    if stopped is None and batch.dataset is not None and batch.extract is None and batch.dataset.rows != total:
        raise BatchProblem(
            "rows_differ",
            f"{total:,} rows were read, where {batch.dataset.rows:,} were registered. Write the file anew and register "
            "it again.",
        )
    if not done:
        return Scored(batch, terms, 0, 0, stopped=stopped)
    progress(97, "Putting the parts together")
    kept = parts.keep_whole(done, f"{batch.pk}-{claim.attempt}")
    return Scored(batch, terms, total, len(done), *kept, stopped=stopped)


def said_no(batch: Batch, terms: Terms) -> Refusal | None:
    """The gate's refusal, by its answer of now."""
    try:
        check_still(terms, batch.version, batch.endpoint)
    except Refusal as refusal:
        return refusal
    return None


def read_once(batch: Batch, claim: Claim, progress: Progress) -> None:
    """Read a connection's rows, where no attempt has yet. Where what was read is damaged all begins anew: rows of
    another moment are never put behind those that were scored.
    """
    if batch.dataset is None or batch.dataset.rows_here:
        return
    if batch.extract is not None:
        try:
            keeping.opened(batch.extract.file, batch.extract.digest).close()
        except Refusal:
            forget_extract(claim, batch)
        else:
            return
    extracting.extract(batch, claim, progress)


def scored_until(batch: Batch, claim: Claim, terms: Terms, progress: Progress) -> Refusal | None:
    """Score chunk by chunk from where the last attempt ended; the gate's refusal where it says no before the end."""
    progress(1, "Reading the rows")
    done = list(batch.parts.all())
    if bad := parts.first_bad(done):
        forget_parts(claim, batch, bad.number)
        done = [part for part in done if part.number < bad.number]
    skip = sum(part.rows for part in done)
    before = extracting.UNTIL if batch.extract else 2
    with ExitStack() as stack:
        data = stack.enter_context(storage.local(batch.input))
        model = stack.enter_context(storage.local(Artifact(digest=terms.artifact)))
        table = rows.opened(data)
        facts = ModelFacts.from_dict(batch.version.signature)
        columns = columns_of(facts.inputs, table.names, batch.version.features)
        score_chunk = Chunked(batch, terms, Scorer(model, LIMITS, len(batch.version.features) or None), stack)
        carried = table.names[len(table.names) - len(batch.keys) :]
        wanted = [*(one.name for one in columns), *carried]
        for chunk in limited(rows.chunks(table, wanted, batch.chunk_rows, skip)):
            if stopped := said_no(batch, terms):
                return stopped
            feed = {
                one.name: array_of(chunk.columns[one.name], one, chunk.first, text=table.text) for one in columns
            }  # fmt: skip
            keys = extracting.keys_of(batch, [chunk.columns[name] for name in carried])
            found = score_chunk(feed, chunk.first, chunk.rows, keys)
            file, digest = parts.keep_part(found, f"{batch.pk}-{claim.attempt}-{chunk.first}")
            record_part(claim, batch, first=chunk.first, rows=chunk.rows, file=file, digest=digest)
            skip += chunk.rows
            progress(before + (96 - before) * chunk.part, f"Scored {skip:,} rows")
    if not skip:
        raise BatchProblem("no_rows", "The table has column names but no rows. Check the export and send it again.")
    return said_no(batch, terms)


def limited(chunks: Iterator[rows.Chunk]) -> Iterator[rows.Chunk]:
    """Raises BatchProblem `too_many_rows` at the first row too many."""
    most = settings.MAX_DATASET_ROWS
    for chunk in chunks:
        if chunk.first + chunk.rows - 1 > most:
            raise BatchProblem(
                "too_many_rows",
                f"The file goes on after row {most:,}, and no more are taken here. Send it in parts, or ask the "
                "operator to raise MAX_DATASET_ROWS.",
            )
        yield chunk


class Chunked:
    """The model and the signed rule, for one chunk after the other. The model is started for the first usable one."""

    def __init__(self, batch: Batch, terms: Terms, scorer: Scorer, stack: ExitStack) -> None:
        self.rule = DecisionRule.from_mapping(terms.rule)
        self.waiting, self.stack, self.features = scorer, stack, batch.version.features

    @cached_property
    def scorer(self) -> Scorer:
        return self.stack.enter_context(self.waiting)

    def __call__(self, feed: dict[str, NDArray[Any]], first: int, rows: int, keys: dict[str, Any]) -> Any:
        """An Arrow table of what the model and the rule say. Raises ModelProblem or BatchProblem."""
        outputs = [self.scorer.run(feed, one.name, self.features) for one in self.scorer.facts.outputs]
        decisive = next(one for one in outputs if one.name == self.rule.output)
        try:
            decisions = self.rule.decide(decisive)
        except ModelProblem as problem:
            if problem.code != "score_not_finite":
                raise
            table = decisive.values.reshape(rows, -1)
            row = first + int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
            sentence = f"The model's output “{decisive.name}” is not a finite number in row {row:,}."
            raise BatchProblem("output_not_finite", sentence) from None
        if len(decisions) != rows:
            sentence = f"The model gave {len(decisions):,} answers for {rows:,} rows, so it cannot be run in chunks."
            raise BatchProblem("outputs_differ", sentence)
        return parts.table_of(outputs, decisions, first, keys)

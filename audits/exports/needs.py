"""What somebody may have to show, which part of the log shows it, and the rules that ask for it. Plain data.

The words on rules are our own and say what the issuer's text asks for, not what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

from audits.exports.selection import Selection

TABLES = ("pdf", "csv", "jsonl", "parquet")


@dataclass(frozen=True)
class Need:
    """`asks` are the choices that make sense for it: model, period, team. `kinds` begins with what suits best."""

    slug: str
    question: str
    shows: str
    asks: tuple[str, ...]
    kinds: tuple[str, ...] = TABLES
    events: tuple[str, ...] = ()
    outcome: str = ""


NEEDS = (
    Need(
        "approval", "Who approved this model, and on what evidence?",
        "Every entry on the model, its versions, their evidence, the requests for approval and who signed what.",
        ("model", "period"), kinds=("pdf", "csv", "jsonl", "parquet"),
    ),
    Need(
        "complete", "Is the record complete and unaltered?",
        "The whole log as a bundle that checks itself on any computer: nothing below its checkpoint was changed, taken "
        "out or put in.",
        (), kinds=("bundle",),
    ),
    Need(
        "period", "What happened in this period?",
        "Every entry between two times, allowed or refused.",
        ("period", "team"),
    ),
    Need(
        "access", "Who had which permissions, and since when?",
        "Roles given and taken, accounts and teams added, tokens and keys made and revoked.",
        ("period", "team"), events=("role.", "account.", "team.", "invitation.", "token.", "key."),
    ),
    Need(
        "identity", "Who proved who they were, and when?",
        "Sessions opened, passwords changed, and the proof that each signer gave before signing.",
        ("period", "team"), events=("session.", "password.", "signer."),
    ),
    Need(
        "refused", "What was refused?",
        "Every attempt that the portal did not allow, with the reason.",
        ("period", "team"), outcome="refused",
    ),
    Need(
        "reads", "Who read or took away sensitive data?",
        "Rows of datasets, explained rows and logged predictions opened, files and evidence downloaded, and exports of "
        "this log.",
        ("period", "team"),
        events=(
            "dataset.rows_opened", "dataset.downloaded", "explained_row.opened", "artifact.downloaded", "log.exported",
            "export.", "prediction.opened",
        ),
    ),
)  # fmt: skip
BY_SLUG = {need.slug: need for need in NEEDS}


@dataclass(frozen=True)
class Article:
    """A part of a rule, what it asks for in our words, and the need whose export shows it."""

    slug: str
    framework: str
    number: str
    asks: str
    need: str

    @property
    def name(self) -> str:
        return f"{self.framework}, {self.number}"


ARTICLES = (
    Article("sr-26-2", "US bank model risk, SR 26-2 and OCC 2026-13", "validation",
            "Independent validation (“effective challenge”) before a model is used.", "approval"),
    Article("ai-act-12", "EU AI Act (2024/1689)", "Article 12", "Record keeping.", "period"),
    Article("ai-act-14", "EU AI Act (2024/1689)", "Article 14", "Human oversight.", "approval"),
    Article("hipaa-a", "HIPAA, 45 CFR 164.312", "(a)", "Access control.", "access"),
    Article("hipaa-b", "HIPAA, 45 CFR 164.312", "(b)", "Audit controls, reads among them.", "reads"),
    Article("hipaa-c", "HIPAA, 45 CFR 164.312", "(c)", "Integrity.", "complete"),
    Article("hipaa-d", "HIPAA, 45 CFR 164.312", "(d)", "Authentication.", "identity"),
    Article("part-11-10e", "21 CFR Part 11", "11.10(e)", "Audit trail.", "period"),
    Article("part-11-50", "21 CFR Part 11", "11.50", "Signatures with printed name, time and meaning.", "approval"),
    Article("part-11-70", "21 CFR Part 11", "11.70", "Signatures bound to their record.", "complete"),
    Article("part-11-200", "21 CFR Part 11", "11.200", "Signatures with two components.", "identity"),
)  # fmt: skip
ARTICLES_BY_SLUG = {article.slug: article for article in ARTICLES}


def articles_for(need: Need) -> list[Article]:
    return [article for article in ARTICLES if article.need == need.slug]


def question_of(selection: Selection) -> str:
    """The need's question with the rule it is for, or nothing for an export by filters alone."""
    need, article = BY_SLUG.get(selection.need), ARTICLES_BY_SLUG.get(selection.article)
    if need is None:
        return ""
    return f"{need.question} ({article.name})" if article else need.question

"""Which legal holds stand in the way. The same SQL answers whoever asks, approves or carries out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.door import mechanical

# Whoever places a hold and whoever erases take this lock, so that a hold is either seen or came after the erasure.
LOCK = 7_236_004

# The log refers to objects by text. From an entry it is followed upwards to the model: an entry's facts name the
# model, version, request or endpoint, and the first entry on that object names what it belongs to.
# Escapes go before the JSON is read: no id holds one, and of an escaped NUL PostgreSQL makes no text.
PLACES = """(VALUES ('model', 'registry.model'), ('version', 'registry.version'),
    ('request', 'approvals.reviewrequest'), ('finding', 'approvals.finding'), ('endpoint', 'endpoint')
    ) AS place (fact, kind)"""
COVERING = r"""
WITH RECURSIVE chosen AS MATERIALIZED (
    SELECT time, actor_id, object_type, object_id, team_id,
        regexp_replace(convert_from(bytes, 'UTF8'), '\\.', ' ', 'g')::json -> 'facts' AS facts
    FROM ledger_event WHERE id = ANY(%(events)s::uuid[])
), refs (kind, id) AS (
    SELECT named.kind, named.id FROM chosen, LATERAL (
        SELECT object_type, object_id UNION ALL SELECT place.kind, facts ->> place.fact FROM PLACES
    ) AS named (kind, id) WHERE named.id IS NOT NULL
    UNION
    SELECT above.kind, above.id FROM refs, LATERAL (
        SELECT place.kind,
            regexp_replace(convert_from(e.bytes, 'UTF8'), '\\.', ' ', 'g')::json -> 'facts' ->> place.fact
        FROM ledger_event e, PLACES
        WHERE e.object_type = refs.kind AND e.object_id = refs.id AND e.outcome = 'done'
            AND refs.kind IN ('registry.version', 'registry.evidence', 'approvals.reviewrequest', 'approvals.decision',
                'approvals.finding', 'approvals.riskacceptance', 'inference.endpoint', 'inference.inferencekey')
        UNION ALL
        SELECT e.object_type, e.object_id FROM ledger_event e
        WHERE refs.kind = 'endpoint' AND e.event = 'endpoint.added'
            AND regexp_replace(convert_from(e.bytes, 'UTF8'), '\\.', ' ', 'g')::json -> 'facts' ->> 'endpoint' = refs.id
    ) AS above (kind, id) WHERE above.id IS NOT NULL
)
SELECT h.id FROM audits_hold h
WHERE h.lifted_at IS NULL AND (h.ends_at IS NULL OR h.ends_at > clock_timestamp()) AND CASE h.kind
    WHEN 'person' THEN h.subject = %(person)s OR EXISTS (
        SELECT FROM chosen c WHERE c.actor_id = h.subject OR c.facts ->> 'account' = h.subject
            OR (c.object_type = 'accounts.user' AND c.object_id = h.account_id::text))
    WHEN 'team' THEN EXISTS (SELECT FROM chosen c WHERE c.team_id = h.of_team_id)
    WHEN 'model' THEN EXISTS (SELECT FROM refs WHERE kind = 'registry.model' AND refs.id = h.subject)
    ELSE EXISTS (SELECT FROM chosen c WHERE c.time >= h.since AND (h.until IS NULL OR c.time < h.until))
END
ORDER BY h.id
""".replace("PLACES", PLACES)


@mechanical("asks which holds stand in the way; the statement is a SELECT")
def covering(cursor: Any, events: Iterable[Any], person: str = "") -> list[int]:
    """Ids of the holds that stand and cover any of these entries, or the person with this opaque id."""
    cursor.execute(COVERING, {"events": [str(event) for event in events], "person": person})
    return [pk for (pk,) in cursor.fetchall()]

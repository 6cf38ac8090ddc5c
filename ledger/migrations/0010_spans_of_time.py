from django.contrib.postgres.indexes import GinIndex
from django.db import migrations

# Among the words of an event stand the spans of time that its id lies in, of 2^26 ms (18.6 hours) to 2^32 ms (49.7 days),
# as `@26/26532`, which no word that is asked for can be: the index of words then finds those of one span alone.
SPANS = r"""
CREATE FUNCTION ledger_spans(id text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg('@' || bits || '/' || (ms >> bits))
    FROM (SELECT ('x' || left(id, 8) || substr(id, 10, 4))::bit(48)::bigint AS ms
        WHERE id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-') AS made, unnest(ARRAY[26, 28, 30, 32]) AS bits
$$
"""
WORDS = r"""
CREATE OR REPLACE FUNCTION ledger_words(bytes bytea, told text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(ledger_spans(max(value #>> '{}') FILTER (WHERE key = 'id')) || ledger_lexemes(
        concat_ws(' ', string_agg(value::text, ' ') FILTER (WHERE key <> 'id'), left(told, 200000))))
    FROM (SELECT convert_from(bytes, 'UTF8') AS body) AS event,
        json_each(CASE WHEN strpos(body, '\') = 0 THEN body ELSE regexp_replace(body, '\\.', ' ', 'g') END::json)
    WHERE key IN ('id', 'event', 'object', 'outcome', 'actor', 'origin', 'on_behalf_of', 'facts')
$$
"""
ADDED = """
UPDATE ledger_search SET words = words || array_to_tsvector(coalesce(ledger_spans(event_id::text), '{}'))
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0009_refused_of_team")]
    operations = [
        migrations.RunSQL(SPANS, migrations.RunSQL.noop),
        migrations.RunSQL(WORDS, migrations.RunSQL.noop),
        # Making the index anew is quicker than changing each of its rows.
        migrations.RemoveIndex("search", "search_words"),
        migrations.RunSQL(ADDED, migrations.RunSQL.noop),
        migrations.AddIndex("search", GinIndex("words", name="search_words")),
    ]

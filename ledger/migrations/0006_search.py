from django.db import migrations, models

# What a word is, in one place: the sequencer writes rows with it, the page asks with it, and it reads what has no row
# yet. PostgreSQL's own parser is not used: it cuts digests at an `e` and takes `team.added` for the name of a host.
LEXEMES = r"""
CREATE FUNCTION ledger_lexemes(said text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_remove(string_to_array(
        -- A word may have 2,046 bytes.
        CASE WHEN octet_length(plain) < 2000 THEN plain ELSE regexp_replace(plain, '([^ ]{250})', '\1 ', 'g') END,
        ' '), '')
    FROM (SELECT regexp_replace(
        lower(CASE WHEN octet_length(said) = length(said) THEN said ELSE normalize(said) END),
        '[^[:alnum:]]+', ' ', 'g') AS plain) AS cleaned
$$
"""
# Escapes go before the JSON is read: none of them is part of a word, and of an escaped NUL PostgreSQL makes no text.
WORDS = r"""
CREATE FUNCTION ledger_words(bytes bytea, told text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(ledger_lexemes(concat_ws(' ', string_agg(value::text, ' '), left(told, 200000))))
    FROM (SELECT convert_from(bytes, 'UTF8') AS body) AS event,
        json_each(CASE WHEN strpos(body, '\') = 0 THEN body ELSE regexp_replace(body, '\\.', ' ', 'g') END::json)
    WHERE key IN ('event', 'object', 'outcome', 'actor', 'origin', 'on_behalf_of', 'facts')
$$
"""
ASKED = r"""
CREATE FUNCTION ledger_asked(said text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (array_to_string(words[:cardinality(words) - 1] || (words[cardinality(words)] || ':*'), ' & '))::tsquery
    FROM (SELECT ledger_lexemes(said) AS words) AS asked WHERE words <> '{}'
$$
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_tiles")]
    operations = [
        # An id begins with its event's time, so that a span of time is a span of ids.
        migrations.RemoveIndex(model_name="event", name="event_time"),
        migrations.AddIndex(
            "event", models.Index(models.F("id"), name="event_refused", condition=models.Q(outcome="refused"))
        ),
        migrations.RunSQL(LEXEMES, "DROP FUNCTION ledger_lexemes(text)"),
        migrations.RunSQL(WORDS, "DROP FUNCTION ledger_words(bytea, text)"),
        migrations.RunSQL(ASKED, "DROP FUNCTION ledger_asked(text)"),
    ]

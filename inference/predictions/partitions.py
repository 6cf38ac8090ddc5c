"""The table of predictions as SQL: a partition a day, and a database that lets go only of what was decided.

The portal's role may SELECT and INSERT there (`provision_roles` sees the triggers). Partitions are made and dropped by
two functions that run with the owner's rights and take no table's name: one makes coming days, the other removes what
rows of `inference_predictiondeletion` say.
"""

from __future__ import annotations

TABLE = """
CREATE TABLE inference_prediction (
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    endpoint_id bigint NOT NULL,
    key_id bigint NOT NULL,
    request_id varchar(64) NOT NULL,
    client_id text NOT NULL,
    artifact varchar(71) NOT NULL,
    revision varchar(71) NOT NULL,
    status smallint NOT NULL,
    code varchar(40) NOT NULL,
    role varchar(10) NOT NULL,
    rows integer NOT NULL,
    latency integer NOT NULL,
    level varchar(10) NOT NULL,
    input_digest varchar(71) NOT NULL,
    output_digest varchar(71) NOT NULL,
    inputs text,
    outputs text,
    CONSTRAINT inference_prediction_pkey PRIMARY KEY (id),
    CONSTRAINT prediction_content_by_level
        CHECK (level IN ('sampled', 'full') OR (inputs IS NULL AND outputs IS NULL))
) PARTITION BY RANGE (id);
CREATE INDEX prediction_of_endpoint ON inference_prediction (endpoint_id, id);
CREATE INDEX prediction_request ON inference_prediction (request_id);
"""

# The smallest UUIDv7 of a moment.
FLOOR = """
CREATE FUNCTION prediction_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
"""

# Runs for each row, in every partition: PostgreSQL gives row triggers of the table to its partitions by itself.
KEPT = """
CREATE FUNCTION prediction_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT FROM inference_predictiondeletion d
        WHERE d.endpoint_id = OLD.endpoint_id AND OLD.id < prediction_floor(d.before)
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'append-only: % on % is not possible', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""


def keep(table: str) -> str:
    """Rows of a table, or of a partitioned table and all its partitions, go only where their deletion was decided."""
    return f"""
CREATE TRIGGER prediction_kept BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION prediction_kept();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER prediction_kept;
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION append_only();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only;
"""


# Attaching takes a lock that lets reading and writing go on; creating in place would not.
MAKE = """
CREATE FUNCTION prediction_partitions(days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first date := (clock_timestamp() AT TIME ZONE 'UTC')::date - 1;
    day date;
    name text;
    made integer := 0;
BEGIN
    IF days NOT BETWEEN 0 AND 60 THEN
        RAISE EXCEPTION 'from 0 to 60 days ahead' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(7236010);
    FOR ahead IN 0 .. days + 1 LOOP
        day := first + ahead;
        name := 'inference_prediction_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE public.%I (LIKE inference_prediction INCLUDING CONSTRAINTS)', name);
        EXECUTE format(
            'ALTER TABLE inference_prediction ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', name,
            prediction_floor(day::timestamp AT TIME ZONE 'UTC'),
            prediction_floor((day + 1)::timestamp AT TIME ZONE 'UTC')
        );
        EXECUTE format(
            'CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION append_only()', name
        );
        EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER append_only', name);
        EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER prediction_kept', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
"""

# A day's partition of which every row may go is dropped; of others rows are deleted. Dropping locks the whole table
# until this ends, and the gateway waits behind it: so it comes last, and its own lock is not waited for long. There is
# a next time.
CARRY_OUT = """
CREATE FUNCTION prediction_deletions() RETURNS TABLE (dropped integer, deleted bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    name text;
    over text[] := '{}';
    empty boolean;
    gone bigint;
BEGIN
    dropped := 0;
    deleted := 0;
    CREATE TEMPORARY TABLE going ON COMMIT DROP AS
        SELECT endpoint_id, prediction_floor(max(before)) AS floor
        FROM inference_predictiondeletion GROUP BY endpoint_id;
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.inference_prediction'::regclass ORDER BY c.relname
    LOOP
        CONTINUE WHEN to_date(right(name, 8), 'YYYYMMDD') >= today - 1;
        EXECUTE format(
            'SELECT NOT EXISTS (SELECT FROM public.%I p LEFT JOIN going g USING (endpoint_id) '
            'WHERE g.floor IS NULL OR p.id >= g.floor)', name
        ) INTO empty;
        IF empty THEN
            over := over || name;
        ELSE
            EXECUTE format(
                'DELETE FROM public.%I p USING going g WHERE p.endpoint_id = g.endpoint_id AND p.id < g.floor', name
            );
            GET DIAGNOSTICS gone = ROW_COUNT;
            deleted := deleted + gone;
        END IF;
    END LOOP;
    DELETE FROM inference_feedback f USING going g WHERE f.endpoint_id = g.endpoint_id AND f.id < g.floor;
    DROP TABLE going;
    FOREACH name IN ARRAY over LOOP
        BEGIN
            EXECUTE format('DROP TABLE public.%I', name);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN NEXT;
END $$;
"""

-- Runs at every start, after the migrations. Adopts what the Python original left in schema public:
--   sandbox_files  stay where they are; power.original_file(uuid) reads one, so old /dl links keep working
--   datasets       are registered in power.datasets with their table
-- The original kept times without a zone, in UTC. Columns are looked for, because its releases differed.
DO $adopt$
DECLARE
    found int;
    match text;
BEGIN
    SELECT count(*), max(CASE WHEN column_name = 'id' AND data_type = 'uuid' THEN 'f.id = wanted' ELSE '' END)
      INTO found, match FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = 'sandbox_files'
       AND column_name IN ('id', 'session_id', 'filename', 'mime_type', 'file_size', 'checksum', 'content', 'created_at',
                           'expires_at', 'download_count');
    IF found = 10 THEN
        match := coalesce(nullif(match, ''), 'f.id::text = wanted::text');
        EXECUTE format($sql$
            CREATE OR REPLACE FUNCTION power.original_file(wanted uuid)
            RETURNS TABLE (session_id text, name text, mime text, size bigint, sha256 text, content bytea,
                           created_at timestamptz, expires_at timestamptz, downloads bigint)
            LANGUAGE sql STABLE AS $body$
                SELECT f.session_id::text, f.filename::text, f.mime_type::text, f.file_size::bigint, f.checksum::text, f.content,
                       f.created_at AT TIME ZONE 'UTC', f.expires_at AT TIME ZONE 'UTC', coalesce(f.download_count, 0)::bigint
                  FROM public.sandbox_files f WHERE %s
            $body$
        $sql$, match);
    ELSE
        CREATE OR REPLACE FUNCTION power.original_file(wanted uuid)
        RETURNS TABLE (session_id text, name text, mime text, size bigint, sha256 text, content bytea,
                       created_at timestamptz, expires_at timestamptz, downloads bigint)
        LANGUAGE sql STABLE AS $body$
            SELECT NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::text, NULL::bytea, NULL::timestamptz,
                   NULL::timestamptz, NULL::bigint
             WHERE wanted IS NULL AND false
        $body$;
    END IF;

    SELECT count(*) INTO found FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = 'datasets'
       AND column_name IN ('id', 'name', 'table_name', 'description', 'row_count', 'column_count', 'columns',
                           'source_filename', 'size_bytes');
    IF found = 9 THEN
        INSERT INTO power.datasets (id, principal, session_id, name, table_schema, table_name, description, row_count,
                                    column_count, columns, source, size_bytes, origin)
        SELECT d.id::text::uuid, 'owner', NULL,
               -- Names were not unique there: the newest has the name, the others a piece of their id after it.
               CASE WHEN row_number() OVER (PARTITION BY d.name ORDER BY to_jsonb(d) ->> 'created_at' DESC NULLS LAST, d.id::text) > 1
                         OR EXISTS (SELECT 1 FROM power.datasets p
                                     WHERE p.principal = 'owner' AND p.name = d.name AND p.id <> d.id::text::uuid)
                    THEN left(d.name, 48) || '_' || left(d.id::text, 8) ELSE d.name END,
               'public', d.table_name, d.description, coalesce(d.row_count, 0),
               coalesce(d.column_count, 0), coalesce(to_jsonb(d.columns), '[]'), d.source_filename, coalesce(d.size_bytes, 0),
               'original'
          FROM public.datasets d
         WHERE to_regclass(format('public.%I', d.table_name)) IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
END
$adopt$;

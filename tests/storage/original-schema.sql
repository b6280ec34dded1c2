-- A database of the Python original in small: the tables and columns of its releases, with a few rows.
CREATE TYPE jobstatus AS ENUM ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT');
CREATE TABLE public.sessions (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, description text, created_at timestamp, updated_at timestamp,
    is_active boolean DEFAULT true, metadata jsonb);
CREATE TABLE public.jobs (
    id uuid PRIMARY KEY, session_id uuid REFERENCES public.sessions (id), code text, status jobstatus, priority int,
    submitted_at timestamp, started_at timestamp, completed_at timestamp, execution_time_ms int, stdout text, stderr text,
    result jsonb, error_message text, error_traceback text, memory_used_mb double precision, files_created jsonb,
    metadata jsonb);
CREATE TABLE public.sandbox_files (
    id uuid PRIMARY KEY, session_id varchar(255), filename varchar(500), mime_type varchar(100), file_size bigint,
    checksum varchar(64), content bytea, created_at timestamp, expires_at timestamp, download_count int);
CREATE TABLE public.datasets (
    id uuid PRIMARY KEY, session_id uuid, name varchar(255), table_name varchar(255) UNIQUE, description text, row_count int,
    column_count int, columns jsonb, source_file_id uuid, source_filename varchar(500), size_bytes bigint,
    created_at timestamp, updated_at timestamp, metadata jsonb);
CREATE TABLE public.ms_tokens (user_id text PRIMARY KEY, token_data jsonb, updated_at timestamptz);

INSERT INTO public.sessions VALUES
    ('0b0e7c1e-8a52-4c2b-9a94-0f3f0a1b2c3d', 'Sales', 'quarterly', '2025-01-02 03:04:05', '2025-01-02 03:04:05', true, '{}');
INSERT INTO public.sandbox_files VALUES
    ('11111111-2222-3333-4444-555555555555', 'default', 'report.bin', 'application/octet-stream', 5,
     '6f7ec1d8ad1d1b0f8b2b1e6b3f0e2f4f1b8c8b1f6d4a2c3e5f60718293a4b5c6', '\x00017f80ff', '2025-01-02 03:04:05', NULL, 7);
CREATE TABLE public.data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee (id int, amount numeric);
INSERT INTO public.data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee VALUES (1, 2.5), (2, 3.5);
INSERT INTO public.datasets VALUES
    ('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', '0b0e7c1e-8a52-4c2b-9a94-0f3f0a1b2c3d', 'sales', 'data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee',
     'all sales', 2, 2, '[{"name": "id"}, {"name": "amount"}]', NULL, 'sales.csv', 64, '2025-01-02 03:04:05', '2025-01-02 03:04:05', '{}'),
    ('aaaaaaaa-bbbb-cccc-dddd-ffffffffffff', NULL, 'lost', 'data_without_table', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

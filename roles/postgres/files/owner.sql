-- Run by psql as litellm. The first run turns that superuser, which initdb created and LiteLLM used, into fleet_admin, and
-- creates a role litellm with the same password that owns LiteLLM's database and is no superuser. Later runs change nothing.
-- PostgreSQL allows no shorter way: initdb's role stays a superuser (from 16 on), and REASSIGN OWNED refuses its objects.
SET search_path = pg_catalog;
SELECT rolsuper AS move FROM pg_roles WHERE rolname = current_user \gset
\if :move
SELECT format('CREATE ROLE litellm LOGIN PASSWORD %L', rolpassword) AS new_role FROM pg_authid WHERE rolname = current_user \gset
BEGIN;
SET LOCAL log_statement = 'none'; -- new_role has the hash of the password
SET LOCAL log_min_error_statement = 'panic';
SET LOCAL lock_timeout = '500ms'; -- less than deadlock_timeout: if LiteLLM is in the way, this transaction fails, not LiteLLM's
CREATE ROLE fleet_move SUPERUSER; -- a session cannot rename its own role
SET LOCAL SESSION AUTHORIZATION fleet_move;
ALTER ROLE litellm RENAME TO fleet_admin;
ALTER ROLE fleet_admin PASSWORD NULL; -- so it can log in through the socket in the container only
:new_role;
RESET SESSION AUTHORIZATION;
DROP ROLE fleet_move;
ALTER DATABASE litellm OWNER TO litellm;
SELECT format('ALTER %s %s OWNER TO litellm', kind, name)
FROM (
  SELECT 'TABLE', 'pg_class'::regclass, oid, oid::regclass::text, relnamespace, relowner FROM pg_class
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL SELECT 'ROUTINE', 'pg_proc'::regclass, oid, oid::regprocedure::text, pronamespace, proowner FROM pg_proc
  UNION ALL SELECT 'TYPE', 'pg_type'::regclass, oid, oid::regtype::text, typnamespace, typowner FROM pg_type
  UNION ALL SELECT 'SCHEMA', 'pg_namespace'::regclass, oid, quote_ident(nspname), oid, nspowner FROM pg_namespace
) AS object (kind, catalog, oid, name, schema, owner)
WHERE owner = (SELECT oid FROM pg_roles WHERE rolname = 'fleet_admin')
  AND schema IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
  -- An extension keeps its objects. Sequences and row types follow their table, and arrays their type.
  AND NOT EXISTS (
    SELECT FROM pg_depend AS tie WHERE tie.classid = catalog AND tie.objid = object.oid AND tie.deptype IN ('a', 'e', 'i')
  )
\gexec
COMMIT;
-- Sessions of before are still a superuser's.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fleet_admin' AND pid <> pg_backend_pid() \g /dev/null
\echo moved
\endif

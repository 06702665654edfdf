#!/bin/bash
# PostgreSQL as its image starts it: the first time, it makes the user and the database, and runs /docker-entrypoint-initdb.d.
set -euo pipefail

data=/var/lib/postgresql/data
bin=$(echo /usr/lib/postgresql/*/bin)
user=${POSTGRES_USER:-postgres}
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

mkdir -p "$data" /run/postgresql
chown postgres:postgres "$data" /run/postgresql
if [ ! -e "$data/PG_VERSION" ]; then
  install -m 600 -o postgres <(echo "$POSTGRES_PASSWORD") /run/postgresql/password
  as_postgres "$bin/initdb" --pgdata="$data" --username="$user" --pwfile=/run/postgresql/password --auth-host=scram-sha-256 --auth-local=trust >/dev/null
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  as_postgres "$bin/pg_ctl" --pgdata="$data" --wait --options='-c listen_addresses= -c wal_level=logical' start >/dev/null
  rm /run/postgresql/password
  [ "${POSTGRES_DB:-$user}" = postgres ] || as_postgres "$bin/createdb" --username="$user" "${POSTGRES_DB:-$user}"
  for script in /docker-entrypoint-initdb.d/*.sql; do
    [ ! -e "$script" ] || as_postgres "$bin/psql" --quiet --username="$user" --set=ON_ERROR_STOP=1 --file="$script"
  done
  as_postgres "$bin/pg_ctl" --pgdata="$data" --wait stop >/dev/null
fi
# `postgres -c …` in compose.yaml.
[ "${1-}" != postgres ] || shift
exec setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D "$data" -c listen_addresses='*' "$@"

#!/bin/bash
# Starts PostgreSQL, and FerretDB over it, and says as MongoDB does when clients can come.
set -eu

programs=$(echo /usr/lib/postgresql/*/bin)
"$programs/initdb" --pgdata /data/db/postgresql --username ferretdb --auth trust --encoding UTF8 --locale C --no-sync
"$programs/pg_ctl" --pgdata /data/db/postgresql --wait start \
    --options "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400"

ONTRACK_LISTEN=0.0.0.0:27017 \
    ONTRACK_POSTGRESQL_URL="postgres://ferretdb@127.0.0.1/postgres?sslmode=disable&pool_max_conns=60" ferretdb &

until (: </dev/tcp/127.0.0.1/27017) 2>/dev/null; do
    kill -0 $!
    sleep 0.1
done
echo "Waiting for connections"
wait

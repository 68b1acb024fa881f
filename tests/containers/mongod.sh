#!/bin/bash
# Starts PostgreSQL, and FerretDB over it, and says as MongoDB does when clients can come.
set -eu

declare -A option=()
for argument in "$@"; do
    case "$argument" in
        --bind_ip_all | --tlsAllowConnectionsWithoutCertificates | --wiredTigerCacheSizeGB=*) ;;
        --replSet=* | --keyFile=* | --tlsMode=requireTLS | --tlsCertificateKeyFile=* | --tlsCAFile=*)
            name=${argument%%=*} option[${name#--}]=${argument#*=} ;;
        *) echo "$argument: this stand-in does not know it" >&2; exit 2 ;;
    esac
done

if [ -n "${option[keyFile]:-}" ] && [ "$(stat --format=%a "${option[keyFile]}")" -gt 600 ]; then
    echo "permissions on ${option[keyFile]} are too open" >&2
    exit 1
fi

programs=$(echo /usr/lib/postgresql/*/bin)
data=/data/db/postgresql
if [ ! -e "$data" ]; then
    "$programs/initdb" --pgdata "$data.new" --username ferretdb --auth trust --encoding UTF8 --locale C --no-sync
    mv "$data.new" "$data"
fi
# Whoever wrote it was killed with its container.
rm -f "$data/postmaster.pid"
"$programs/pg_ctl" --pgdata "$data" --wait start \
    --options "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400"

# It keeps little, and looking for garbage takes a third of its time.
export GOGC=400
export ONTRACK_POSTGRESQL_URL="postgres://ferretdb@127.0.0.1/postgres?sslmode=disable&pool_max_conns=${POOL:-60}"
if [ -n "${option[tlsMode]:-}" ]; then
    export ONTRACK_LISTEN_TLS=0.0.0.0:27017
    export ONTRACK_TLS_CERTIFICATE=${option[tlsCertificateKeyFile]} ONTRACK_TLS_KEY=${option[tlsCertificateKeyFile]}
else
    export ONTRACK_LISTEN=0.0.0.0:27017
fi
if [ -n "${option[replSet]:-}" ]; then
    export ONTRACK_REPLICA_SET=${option[replSet]} ONTRACK_HOST=$HOSTNAME:27017
fi
ferretdb &
server=$!
# The first process of a container is not ended by a signal that it does not wait for.
trap 'kill $server' TERM

until (: </dev/tcp/127.0.0.1/27017) 2>/dev/null; do
    kill -0 $server
    sleep 0.1
done
echo "Waiting for connections"
wait $server || true
"$programs/pg_ctl" --pgdata "$data" --wait stop

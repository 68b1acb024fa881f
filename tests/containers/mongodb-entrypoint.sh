#!/bin/bash
# Hands the first user to the server, as the published image does: by a name and a file with the password.
set -eu

if [ -n "${MONGO_INITDB_ROOT_PASSWORD_FILE:-}" ]; then
    export ONTRACK_ADMINISTRATOR=$MONGO_INITDB_ROOT_USERNAME
    ONTRACK_ADMINISTRATOR_PASSWORD=$(cat "$MONGO_INITDB_ROOT_PASSWORD_FILE")
    export ONTRACK_ADMINISTRATOR_PASSWORD ONTRACK_USERS_IN=admin
fi
exec "$@"

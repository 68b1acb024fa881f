#!/bin/bash
# Starts a broker as its variables say. Kafka brings what makes properties of them and formats the storage.
set -eu

need() {
    [ -n "${!1:-}" ] || { echo "$1 environment variable not set"; exit 1; }
}

need CLUSTER_ID
[ -w /opt/kafka/config ] || { echo "/opt/kafka/config file not writable"; exit 1; }

# Listeners of these names are set up by the published image in a way of its own.
case "${KAFKA_ADVERTISED_LISTENERS:-}" in
    *SSL://* | *SASL_*) need KAFKA_SSL_KEYSTORE_FILENAME; need KAFKA_SSL_KEY_CREDENTIALS; need KAFKA_OPTS ;;
esac

# With a configuration of the log, its folder is made; without one of the collector, that writes a log into it.
LOG_DIR=${LOG_DIR:-/opt/kafka/logs}
mkdir -p "$LOG_DIR"
collector=${KAFKA_GC_LOG_OPTS:-"-Xlog:gc*:file=$LOG_DIR/kafkaServer-gc.log"}

# Two cores are shared by many: code that runs for a minute is not worth much thought.
hasty="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

# shellcheck disable=SC2086 # these are options, separated by spaces
java $hasty -cp "/opt/kafka/libs/*" kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config \
    --final-configs-dir /opt/kafka/config > "$LOG_DIR/setup" 2>&1 \
    || grep -i "already formatted" "$LOG_DIR/setup" \
    || { cat "$LOG_DIR/setup"; exit 1; }

# shellcheck disable=SC2086 # these are options, separated by spaces
exec java ${KAFKA_HEAP_OPTS:--Xmx384M} $hasty $collector \
    ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/etc/kafka/docker/log4j2.properties} \
    -cp "/opt/kafka/libs/*" kafka.Kafka /opt/kafka/config/server.properties

#!/bin/bash
# Starts a broker as its variables say. Kafka brings what makes properties of them and formats the storage.
set -eu

java -cp "/opt/kafka/libs/*" kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config \
    --final-configs-dir /opt/kafka/config

exec java -Xmx384M -XX:+UseSerialGC -Dlog4j2.configurationFile=/etc/kafka/docker/log4j2.properties \
    -cp "/opt/kafka/libs/*" kafka.Kafka /opt/kafka/config/server.properties

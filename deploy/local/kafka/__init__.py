"""Kafka without Docker: one broker or three, each a process that tests may kill."""

from deploy.local.kafka.broker import Broker, BrokerPorts, Security
from deploy.local.kafka.cluster import KafkaCluster

__all__ = ["Broker", "BrokerPorts", "KafkaCluster", "Security"]

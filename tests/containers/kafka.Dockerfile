ARG BASE
FROM ${BASE}
RUN useradd --uid 1000 appuser \
    && install --directory --owner=appuser /opt/kafka /opt/kafka/config /mnt/shared/config \
    && install --directory --owner=appuser --group=root --mode=775 /var/lib/kafka/data /etc/kafka/secrets
COPY libs /opt/kafka/libs
COPY run log4j2.properties /etc/kafka/docker/
USER appuser
VOLUME /etc/kafka/secrets /var/lib/kafka/data /mnt/shared/config
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]

ARG BASE
FROM ${BASE}
RUN useradd appuser \
    && install --directory --owner=appuser /opt/kafka/config /mnt/shared/config /var/lib/kafka/data
COPY libs /opt/kafka/libs
COPY run log4j2.properties /etc/kafka/docker/
USER appuser
VOLUME /var/lib/kafka/data
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]

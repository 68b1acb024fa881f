ARG BASE
FROM ${BASE}
RUN install --directory --owner=postgres /data/db
COPY ferretdb run /usr/local/bin/
USER postgres
VOLUME /data/db
EXPOSE 27017
CMD ["/usr/local/bin/run"]

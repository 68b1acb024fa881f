ARG BASE
FROM ${BASE}
RUN groupadd --system --gid 999 mongodb \
    && useradd --system --uid 999 --gid mongodb --home-dir /data/db mongodb \
    && install --directory --owner=mongodb --group=mongodb /data/db /data/configdb
COPY ferretdb mongod mongosh docker-entrypoint.sh /usr/local/bin/
ENV HOME=/data/db
USER mongodb
VOLUME /data/db /data/configdb
EXPOSE 27017
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mongod"]

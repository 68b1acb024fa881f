ARG BASE
FROM ${BASE}
COPY libraries /opt/libraries
COPY mail /usr/local/bin/
ENV PYTHONPATH=/opt/libraries PYTHONUNBUFFERED=1
USER nobody
CMD ["mail"]

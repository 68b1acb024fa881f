"""What speaks MongoDB's protocol without MongoDB: FerretDB, which stores in PostgreSQL."""

from deploy.local.mongodb.ferretdb import FerretDB
from deploy.local.mongodb.postgresql import PostgreSQL
from deploy.local.mongodb.stand_in import MongoPorts, MongoStandIn

__all__ = ["FerretDB", "MongoPorts", "MongoStandIn", "PostgreSQL"]

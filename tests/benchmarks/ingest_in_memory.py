"""`ontrack serve ingest` as it is, but for its states and keys: they are in memory, and cost next to nothing.

What is left is what the service and Kafka do.
"""

from unittest.mock import patch

from services.ingest import app
from services.runtime import service
from services.runtime.documents import Documents
from services.runtime.keyring.master import MasterKey
from tests.benchmarks.memory import MemoryKeyring, MemoryStore


class _Keyring(MemoryKeyring):
    """Cases are called as they are by the master key, so that others find them."""

    def __init__(self, _: Documents, master: MasterKey) -> None:
        super().__init__({})
        self._master = master

    def case_id(self, clinic: str, number: str) -> str:
        return self._master.case_id(clinic, number)

    def disguised(self, text: str) -> str:
        return self._master.disguised(text)

    async def require_own_master(self) -> None:
        """It has none."""


if __name__ == "__main__":
    with patch.object(service, "MongoStore", lambda _: MemoryStore()), patch.object(service, "MongoKeyring", _Keyring):
        app.run()

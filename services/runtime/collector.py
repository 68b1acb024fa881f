"""Python's garbage collector, and how a process that keeps much is spared it."""

import gc


def spare_the_collector() -> None:
    """Let it rest: nearly everything here is freed by counting, and looking costs a tenth."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)

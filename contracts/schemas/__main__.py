"""`python -m contracts.schemas`: writes the schemas; with `--check` it only says which files are not in step."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from contracts.schemas.generation import schemas

HERE: Final = Path(__file__).parent

State = Literal["missing", "differs", "left over"]


def out_of_step(directory: Path) -> Iterator[tuple[str, State]]:
    """Find every file that is not what the contracts say: its path below the directory, and what is wrong with it."""
    wanted = schemas()
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*.json")}
    for path in sorted(there | wanted.keys()):
        if path not in there:
            yield path, "missing"
        elif path not in wanted:
            yield path, "left over"
        elif (directory / path).read_bytes() != wanted[path]:
            yield path, "differs"


def write(directory: Path) -> list[str]:
    """Write what is missing or differs, remove what is left over; say what was done to which file."""
    wanted, done = schemas(), []
    for path, state in list(out_of_step(directory)):
        file = directory / path
        if state == "left over":
            file.unlink()
            done.append(f"{path}: removed")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(wanted[path])
            done.append(f"{path}: written")
    return done


def main(arguments: Sequence[str] | None = None, directory: Path = HERE) -> int:
    """Write or check; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is not in step")
    if not parser.parse_args(arguments).check:
        sys.stdout.writelines(f"{line}\n" for line in write(directory))
        return 0
    found = list(out_of_step(directory))
    sys.stderr.writelines(f"{directory / path}: {state}\n" for path, state in found)
    if found:
        sys.stderr.write("The schemas are not in step with the contracts: run make schemas.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

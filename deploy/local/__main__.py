"""Takes real servers up and down, for developers: python -m deploy.local."""

import argparse
import shlex
import sys
from pathlib import Path

from deploy.local.building import BuildFailed
from deploy.local.everyday import Everyday, OthersUp
from deploy.local.kafka import jars
from deploy.local.mongodb.postgresql import UnreachableFolder
from deploy.local.places import home
from deploy.local.ports import PortTaken
from deploy.local.prerequisites import Missing
from deploy.local.processes import NotAnswering


def main() -> int:
    """Do what the command line says; 0 if that went well."""
    given = _arguments()
    directory = (given.data or home() / "data").absolute()
    try:
        return _done(given, directory)
    except PortTaken as taken:
        print(f"{taken}, or add --free-ports, for this data to have other ports", file=sys.stderr)
    except (BuildFailed, Missing, NotAnswering, OthersUp, UnreachableFolder) as said:
        print(said, file=sys.stderr)
    except OSError as refused:
        print(f"{refused.filename or directory}: {refused.strerror or refused}", file=sys.stderr)
    except KeyboardInterrupt:
        print("broken off", file=sys.stderr)
    return 1


def _done(given: argparse.Namespace, directory: Path) -> int:
    if given.command == "up":
        everyday = Everyday.with_free_ports(directory) if given.free_ports else Everyday(directory)
        started = everyday.up(given.brokers)
        print(f"started: {', '.join(started)}" if started else "up already")
    elif given.command == "down":
        stopped = Everyday(directory).down()
        print(f"stopped: {', '.join(stopped)}" if stopped else "down already")
    elif given.command == "status":
        return _status(Everyday(directory))
    elif given.command == "env":
        for name, value in Everyday(directory).environment().items():
            print(f"export {name}={shlex.quote(value)}")
        if not all(server.answers() for server in Everyday(directory).servers().values()):
            print("these servers do not run: python -m deploy.local up", file=sys.stderr)
    else:
        jars.pin()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__.partition(":")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--data", type=Path, help="the folder of the data; .local/data unless named")
    up = commands.add_parser("up", parents=[where], help="start what does not answer, and wait until it does")
    up.add_argument("--brokers", type=int, choices=[1, 3], default=1, help="three are for failure tests")
    up.add_argument("--free-ports", action="store_true", help="choose free ports for this data, which it keeps")
    commands.add_parser("down", parents=[where], help="stop everything; what is stored stays")
    commands.add_parser("status", parents=[where], help="tell what runs; 0 if everything answers")
    commands.add_parser("env", parents=[where], help="print the shell lines that set up a region on these servers")
    commands.add_parser("pin", help="bring the jars of kafka/pom.xml and write kafka/jars.sha256").set_defaults(
        data=None
    )
    return parser.parse_args()


def _status(everyday: Everyday) -> int:
    down = 0
    for name, server in everyday.servers().items():
        answers = server.answers()
        state = "answers" if answers else "does not answer" if server.pid is not None else "does not run"
        print(f"{name:<10}  {state:<15}  {server.pid or '-':>7}  {server.log}")
        down += not answers
    return 1 if down else 0


if __name__ == "__main__":
    sys.exit(main())

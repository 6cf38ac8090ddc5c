"""`python -m portal.supervisor [--once]`, used by `./run`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from portal.supervisor.faults import SetupError
from portal.supervisor.processes import DEMO
from portal.supervisor.state import AlreadyRunning, State
from portal.supervisor.supervisor import PROJECT, Supervisor


def main(arguments: Sequence[str], given: Mapping[str, str]) -> int:
    """Exit status: that of the demo, 1 when already running, 2 when this machine needs something first."""
    parser = argparse.ArgumentParser(prog="./run", description="Runs Countersign on this machine.")
    parser.add_argument("--once", action="store_true", help="show the demo, then stop")
    parser.add_argument("--no-demo", action="store_true", help="serve without showing the demo first")
    wanted = parser.parse_args(arguments)
    state = State(Path(given.get("COUNTERSIGN_DIR") or PROJECT / ".countersign"))
    try:
        return Supervisor(state, given, demo=None if wanted.no_demo else DEMO).run(once=wanted.once)
    except AlreadyRunning as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except SetupError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except OSError as error:
        print(state.explain(error), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

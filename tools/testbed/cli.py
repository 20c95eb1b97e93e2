"""The command line: ``python tools/testbed up FLEET_FILE``, ``down NAME...``, ``list``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import bed, fleet
from .errors import BedError
from .state import fleet_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "up":
            wanted = fleet.load(options.fleet_file)
            bed.up(wanted, (options.inventory or fleet_folder(wanted.name) / "inventory.yml").resolve())
        elif options.command == "down":
            if options.all == bool(options.names):
                raise BedError("Say which fleets to remove: either NAME..., or --all.")
            if options.purge and not options.all:
                raise BedError(
                    "--purge removes the images and packages that all fleets share: it goes only with --all, not with "
                    f"{' '.join(options.names)}."
                )
            bed.down(None if options.all else options.names, options.purge)
        else:
            print("\n".join(bed.listing()))
    except BedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description="Systemd hosts in containers, for tests.")
    commands = parser.add_subparsers(dest="command", required=True)

    up = commands.add_parser("up", help="make the hosts of a fleet file, or what is missing of them")
    up.add_argument("fleet_file", type=Path, metavar="FLEET_FILE")
    up.add_argument(
        "--inventory",
        type=Path,
        metavar="PATH",
        help="where to write the inventory (default: build/testbed/NAME/inventory.yml)",
    )

    down = commands.add_parser("down", help="remove fleets")
    down.add_argument("names", nargs="*", metavar="NAME", help="a fleet's name, as in its fleet file")
    down.add_argument("--all", action="store_true", help="remove every fleet, also those of other checkouts")
    down.add_argument("--purge", action="store_true", help="remove images and cached packages too; only with --all")

    commands.add_parser("list", help="list the hosts of all fleets")
    return parser

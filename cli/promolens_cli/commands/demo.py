"""Open the whole of it on this machine: shops, catalog, service, and the camera app for a phone.

Takes the recogniser and the app in --assets (`make demo` makes both first), crawls stand-in shops
with invented products, offers the recogniser and a gallery of products that it was never taught to
phones, serves all of it, and prints the address with a QR code. A page of products to hold the
phone's camera to opens beside it. What is there already is not done again; Ctrl-C ends it. See
docs/demo.md.

Without --https only this machine, and a phone on its USB cable, can open it. With --https every
machine of the same network can, over HTTPS with a certificate of this machine's own.

examples:
  promolens demo
  promolens demo --port 8080
  promolens demo --https
  promolens demo --https --address 192.168.0.12
  promolens demo --assets my-app --state runs/my-demo
  promolens demo --fresh
"""

from __future__ import annotations

import argparse
from ipaddress import IPv4Address
from pathlib import Path

STATE = Path("runs") / "demo-service"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens demo`."""
    parser.add_argument(
        "--assets",
        type=Path,
        default=Path("android_assets"),
        metavar="DIR",
        help="folder with bundle/ and www/ (android_assets)",
    )
    parser.add_argument("--port", type=_port, help="0 for any free one (8000; 8443 with --https)")
    parser.add_argument("--https", action="store_true", help="for phones in the same network")
    parser.add_argument(
        "--address",
        type=IPv4Address,
        action="append",
        default=[],
        metavar="IP",
        help="this machine's address there, where the one that was found is not it; repeatable",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=STATE,
        metavar="DIR",
        help=f"what the demo keeps from one time to the next ({STATE})",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="forget the catalog and offers of earlier demos first"
    )
    parser.add_argument("--no-qr", action="store_true", help="print no QR code")


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, received {text}")
    return value


def run(args: argparse.Namespace) -> int:
    """Prepare what is missing, then serve until Ctrl-C."""
    from promolens_cli.demo_running import DemoOptions, run_demo

    return run_demo(
        DemoOptions(
            assets=args.assets,
            state=args.state,
            port=args.port,
            https=args.https,
            addresses=tuple(args.address),
            fresh=args.fresh,
            qr=not args.no_qr,
        )
    )

"""Verify a bundle, offer it to phones, or make signing keys.

`verify` checks the signature, the manifest's schema, size and hash of every file, labels, the model
as LiteRT opens it, and the golden vectors; it prints one line for each thing that is wrong and ends
with status 3. The public key is --public-key, else PROMOLENS_PUBLIC_KEY, else the public half of
this machine's development key.

`publish` copies a bundle into a store, verifies the copy in the same way, and offers it on a
channel to all phones or to a share of them; a bundle that does not verify, or whose version is
lower than one that was offered before, is refused. `rollout` changes the share, `rollback` offers
the release before again, `releases` shows what is there, `prune` removes old releases that no
channel offers or could go back to. The store is --store, else PROMOLENS_BUNDLE_STORE; the server
sends what is in it (docs/bundle-delivery.md).

`keygen` writes a new private key (base64, readable by its owner only) and prints the public one.

examples:
  promolens bundle verify android_assets/bundle
  PROMOLENS_PUBLIC_KEY=ed25519:11qYAYKx... promolens bundle verify download/
  promolens bundle verify bundle --allow-unsigned --json
  promolens bundle publish android_assets/bundle --store /srv/bundles --channel beta
  promolens bundle publish android_assets/bundle --store /srv/bundles --rollout 10
  promolens bundle rollout 50 --store /srv/bundles
  promolens bundle rollback --store /srv/bundles
  promolens bundle releases --store /srv/bundles --json
  promolens bundle prune --keep 5 --store /srv/bundles
  promolens bundle keygen ~/keys/promolens.key
  PROMOLENS_SIGNING_KEY=$(cat ~/keys/promolens.key) promolens export runs/mine --out app
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_cli.releasing_options import configure_releasing

if TYPE_CHECKING:
    from promolens_runtime.verify import VerifyReport

BROKEN = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="check everything in a bundle",
        description="Check everything in a bundle; one line for each thing that is wrong.",
        epilog="example: promolens bundle verify android_assets/bundle --json",
    )
    verify.add_argument("path", type=Path, help="the bundle, or the folder that holds bundle/")
    verify.add_argument("--public-key", metavar="K", help="ed25519:<base64>")
    verify.add_argument(
        "--allow-unsigned", action="store_true", help="accept a bundle without a signature"
    )
    verify.add_argument("--json", action="store_true", help="print the report as JSON")
    keygen = actions.add_parser(
        "keygen",
        help="make a new signing key",
        description="Write a new private key to OUT (mode 0600) and print the public key.",
        epilog="example: promolens bundle keygen ~/keys/promolens.key",
    )
    keygen.add_argument("out", type=Path, help="file for the private key; must not exist")
    publish = configure_releasing(actions, "bundle", "android_assets/bundle")
    publish.add_argument("path", type=Path, help="the bundle, or the folder that holds bundle/")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    if args.action == "keygen":
        return _keygen(args.out)
    if args.action == "verify":
        return _verify(args)
    from promolens_cli import bundle_releasing

    return bundle_releasing.run(args)


def _keygen(out: Path) -> int:
    from promolens_runtime.signing import generate_key, write_key_file

    key = generate_key()
    write_key_file(out, key)
    print(key.public)
    print(f"private key: {out} (keep it secret; it is never overwritten)", file=sys.stderr)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from promolens_runtime.quiet import quiet_stderr
    from promolens_runtime.signing import verification_key
    from promolens_runtime.verify import verify_bundle

    key = verification_key(args.public_key)
    with quiet_stderr():  # LiteRT says on stderr which delegate it made
        report = verify_bundle(args.path, key, allow_unsigned=args.allow_unsigned)
    if args.json:
        print(json.dumps(_as_json(report), ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 0 if report.ok else BROKEN


def _as_json(report: VerifyReport) -> dict[str, object]:
    manifest = report.manifest
    return {
        "ok": report.ok,
        "folder": str(report.folder),
        "findings": list(report.findings),
        "notes": list(report.notes),
        "signed_by": report.signed_by,
        "bundle_id": manifest.bundle_id if manifest else None,
        "version": manifest.version if manifest else None,
        "models": [model.role for model in manifest.models] if manifest else [],
    }


def _print(report: VerifyReport) -> None:
    for line in report.notes:
        print(f"note: {line}")
    for line in report.findings:
        print(f"wrong: {line}")
    if not report.ok or report.manifest is None:
        count = len(report.findings)
        print(f"{report.folder}: {count} finding{'s' if count != 1 else ''}; do not use it")
        return
    manifest = report.manifest
    signed = f"signed by {report.signed_by}" if report.signed_by else "not signed"
    roles = ", ".join(model.role for model in manifest.models)
    size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    print(
        f"{report.folder}: good. {manifest.bundle_id} version {manifest.version}, {roles}, "
        f"{len(manifest.files)} files, {size_bytes} bytes, {signed}"
    )

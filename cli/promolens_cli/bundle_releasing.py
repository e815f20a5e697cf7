"""Actions of `promolens bundle` and `promolens gallery` that change or show a bundle store."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from promolens_server.bundles.channels import Channel
    from promolens_server.bundles.publishing import Published
    from promolens_server.bundles.releases import Release
    from promolens_server.bundles.store import ArtefactStore

BROKEN = 3


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    table = {
        "publish": publish,
        "rollout": rollout,
        "rollback": rollback,
        "releases": releases,
        "prune": prune,
    }
    return table[args.action](args)


def publish(args: argparse.Namespace) -> int:
    """Verify a bundle or a gallery and offer it on a channel; 3 where it does not verify."""
    from promolens_runtime.quiet import quiet_stderr
    from promolens_server.bundles.publishing import RefusedBundleError

    store = _store(args)
    try:
        with quiet_stderr():  # LiteRT says on stderr which delegate it made
            done = _published(args, store)
    except RefusedBundleError as error:
        for line in error.findings:
            print(f"wrong: {line}", file=sys.stderr)
        print(f"error: {args.path} is not published; nothing has changed", file=sys.stderr)
        return BROKEN
    kept = "kept" if done.new else "was there already"
    _answer(
        args,
        done.channel,
        f"{done.release.name} version {done.release.version} {kept} as {done.release.id[:12]}, "
        f"{len(done.release.files)} files, {done.release.size_bytes} bytes, "
        f"signed by {done.release.signed_by}",
    )
    return 0


def _published(args: argparse.Namespace, store: ArtefactStore) -> Published:
    from promolens_runtime.signing import verification_key
    from promolens_server.bundles.galleries import publish_gallery
    from promolens_server.bundles.publishing import Order, publish_bundle
    from promolens_server.bundles.store import ArtefactStore

    key = verification_key(args.public_key)
    order = Order(args.channel, args.rollout, _who(args), args.allow_downgrade)
    now = datetime.now(UTC)
    if store.noun == "gallery":
        bundles = ArtefactStore(store.folder.parent)
        return publish_gallery(store, bundles, args.path, key, order, now)
    return publish_bundle(store, args.path, key, order, now)


def rollout(args: argparse.Namespace) -> int:
    """Change the share of a roll-out."""
    from promolens_server.bundles import channels

    now, by = datetime.now(UTC), _who(args)
    done = _store(args).change_channel(
        args.channel, lambda before: channels.rollout(before, args.percent, now, by)
    )
    _answer(args, done)
    return 0


def rollback(args: argparse.Namespace) -> int:
    """Stop a roll-out, or offer the release before again."""
    from promolens_server.bundles import channels

    now, by = datetime.now(UTC), _who(args)
    done = _store(args).change_channel(
        args.channel, lambda before: channels.rollback(before, now, by, args.to)
    )
    _answer(args, done)
    return 0


def releases(args: argparse.Namespace) -> int:
    """Show what each channel offers, and all releases."""
    from promolens_server.bundles.channels import CHANNELS

    store = _store(args)
    states = {name: store.channel(name) for name in CHANNELS}
    found = store.releases()
    if args.json:
        answer = {
            "channels": {name: _channel_json(args, state) for name, state in states.items()},
            "releases": [_release_json(store, release) for release in found],
        }
        print(json.dumps(answer, ensure_ascii=False, indent=1))
        return 0
    for name, state in states.items():
        print(_channel_line(name, state))
        for deed in state.deeds[-5:]:
            version = "none" if deed.version is None else f"version {deed.version}"
            print(f"  {deed.at:%Y-%m-%d %H:%M}Z {deed.action} {version} to {deed.percent} % "
                  f"by {deed.by}")  # fmt: skip
    for release in found:
        print(
            f"{release.id[:12]}  {release.name} version {release.version}, "
            f"{release.size_bytes} bytes, since {release.added_at:%Y-%m-%d %H:%M}Z, "
            f"{_for_whom(release)}"
        )
    return 0


def prune(args: argparse.Namespace) -> int:
    """Remove old releases."""
    store = _store(args)
    gone = store.prune(args.keep, dry_run=args.dry_run)
    if args.json:
        removed = [_release_json(store, release) for release in gone]
        print(json.dumps({"dry_run": args.dry_run, "removed": removed}, ensure_ascii=False))
        return 0
    done = "would go" if args.dry_run else "removed"
    for one in gone:
        print(f"{one.id[:12]}  {one.name} version {one.version}, {one.size_bytes} bytes: {done}")
    print(f"{len(gone)} releases {done}, {sum(one.size_bytes for one in gone)} bytes")
    return 0


def _store(args: argparse.Namespace) -> ArtefactStore:
    from promolens_server.bundles.store import BUNDLES, GALLERIES, ArtefactStore

    if args.store is None:
        raise InputError(
            "Expected the folder of a bundle store. Received none. "
            "Pass --store DIR or set PROMOLENS_BUNDLE_STORE."
        )
    root = Path(args.store)
    if args.action != "publish" and not root.is_dir():
        raise InputError(
            f"Expected a bundle store at {root}. Received no folder. "
            f"Run: promolens {args.noun} publish --store DIR"
        )
    return ArtefactStore(root, GALLERIES if args.noun == "gallery" else BUNDLES)


def _who(args: argparse.Namespace) -> str:
    import getpass

    who: str = args.by or getpass.getuser()
    if not who.isprintable() or len(who) > 100:
        raise InputError(
            "Expected who it is in at most 100 printable characters. Received something else. "
            "Give a name with --by."
        )
    return who


def _answer(args: argparse.Namespace, state: Channel, first_line: str = "") -> None:
    if args.json:
        print(json.dumps(_channel_json(args, state), ensure_ascii=False, indent=1))
        return
    if first_line:
        print(first_line)
    print(_channel_line(args.channel, state))


def _channel_line(name: str, state: Channel) -> str:
    if state.current is None and state.candidate is None:
        return f"{name}: nothing is offered"
    parts = []
    if state.candidate is not None:
        parts.append(f"version {state.candidate.version} to {state.percent} % of the phones")
    rest = "" if state.candidate is None else " to the others"
    if state.current is not None:
        parts.append(f"version {state.current.version}{rest or ' to all phones'}")
    else:
        parts.append("nothing to the others")
    return f"{name}: {state.name} {', '.join(parts)}"


def _channel_json(args: argparse.Namespace, state: Channel) -> dict[str, Any]:
    return {
        f"{args.noun}_id": state.name or None,
        "current": state.current and {"id": state.current.id, "version": state.current.version},
        "candidate": state.candidate
        and {"id": state.candidate.id, "version": state.candidate.version},
        "percent": 100 if state.candidate is None and state.current else state.percent,
        "earlier": [{"id": one.id, "version": one.version} for one in state.earlier],
        "highest_version": state.highest,
        "deeds": [
            {
                "at": deed.at.isoformat(),
                "by": deed.by,
                "action": deed.action,
                "version": deed.version,
                "percent": deed.percent,
            }
            for deed in state.deeds
        ],
    }


def _for_whom(release: Release) -> str:
    if release.model_sha256 is not None:
        return f"for the model {release.model_sha256[:12]}"
    return f"app {release.minimum_app_version} or newer"


def _release_json(store: ArtefactStore, release: Release) -> dict[str, Any]:
    whom = (
        {"minimum_app_version": release.minimum_app_version}
        if release.model_sha256 is None
        else {"model_sha256": release.model_sha256}
    )
    return {
        "id": release.id,
        f"{store.noun}_id": release.name,
        "version": release.version,
        **whom,
        "size_bytes": release.size_bytes,
        "added_at": release.added_at.isoformat(),
        "signed_by": release.signed_by,
    }

"""Let a bundle name products that it was never trained on, from one catalogue picture each.

`build` embeds the catalogue pictures of a folder with the bundle's model, refuses those that show
too little, stores the vectors in the catalog's database and writes a signed folder for phones.
Called again, it embeds only what is new. A picture belongs to the product that its name or its
folder names: a label, item id or barcode of products.csv (docs/gallery.md). With --photos, labelled
photos of some of the products set when an answer counts.

With --from-catalog, `build` fetches the pictures itself: one of each product that the catalog has
on offer, only from hosts that the crawler's configuration allows (docs/crawling-manners.md).

`publish` copies a gallery into the bundle store, verifies the copy against the bundle that the
channel offers, and offers it to all phones or to a share of them. `rollout`, `rollback`, `releases`
and `prune` do what they do for bundles (docs/bundle-delivery.md).

examples:
  promolens gallery build demo_data/catalogue --photos demo_data
  promolens gallery build november/ --products november/products.csv --bundle android_assets
  promolens gallery build pictures/ --from-catalog --config crawl.toml
  promolens gallery add shelf1.jpg shelf2.jpg --product 8801234567893
  promolens gallery verify
  promolens gallery publish --store /srv/bundles --rollout 10
  promolens gallery rollback --store /srv/bundles
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from promolens_cli.releasing_options import configure_releasing

if TYPE_CHECKING:
    Actions: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_BUNDLE = Path("android_assets")
DATABASE_VARIABLE = "PROMOLENS_DATABASE_URL"
DEFAULT_DATABASE = "promotions.db"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = _action(
        actions, "build", "embed catalogue pictures", "build demo_data/catalogue --photos demo_data"
    )
    build.add_argument("pictures", type=Path, help="folder with catalogue pictures")
    build.add_argument(
        "--from-catalog",
        action="store_true",
        help="first fetch into the folder one picture of each product that is on offer",
    )
    build.add_argument(
        "--config", type=Path, metavar="TOML", help="of --from-catalog (crawl.toml if it is there)"
    )
    build.add_argument(
        "--products", type=Path, metavar="CSV", help="default: products.csv there or one folder up"
    )
    build.add_argument(
        "--photos", type=Path, metavar="DATA", help="labelled photos that set when answers count"
    )
    build.add_argument("--split", choices=("test", "val", "train", "all"), help="of --photos")
    _writing(build)
    add = _action(
        actions, "add", "add photos of one product", "add shelf1.jpg --product 8801234567893"
    )
    add.add_argument("photos", type=Path, nargs="+", metavar="photo", help="picture file")
    add.add_argument("--product", required=True, metavar="ID", help="item id, label or barcode")
    _writing(add)
    verify = _action(actions, "verify", "check a gallery against its bundle", "verify")
    verify.add_argument(
        "gallery", type=Path, nargs="?", help="default: gallery/ in the bundle's folder"
    )
    _reading(verify)
    publish = configure_releasing(actions, "gallery", "android_assets/gallery")
    publish.add_argument(
        "path", type=Path, nargs="?", default=DEFAULT_BUNDLE / "gallery",
        help="the gallery, or the folder that holds gallery/ (android_assets/gallery)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    from promolens_cli import gallery_actions

    table = {
        "build": gallery_actions.build,
        "add": gallery_actions.add,
        "verify": gallery_actions.verify,
    }
    if args.action in table:
        return table[args.action](args)
    from promolens_cli import bundle_releasing

    return bundle_releasing.run(args)


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", default="default", metavar="NAME", help="which gallery (default)")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="default: gallery/ beside the bundle"
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        default=os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE,
        help=f"path or postgresql://... ({DATABASE_VARIABLE}, else {DEFAULT_DATABASE})",
    )
    parser.add_argument("--unsigned", action="store_true", help="write no signature")
    _reading(parser)


def _reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, help="folder of the bundle (android_assets)"
    )
    parser.add_argument("--public-key", metavar="K", help="ed25519:<base64>, of the bundle")
    parser.add_argument(
        "--allow-unsigned", action="store_true", help="accept a bundle without a signature"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _action(actions: Actions, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=summary,
        description=f"{summary.capitalize()}.",
        epilog=f"example:\n  promolens gallery {example}",
    )

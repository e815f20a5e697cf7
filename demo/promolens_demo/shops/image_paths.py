"""Where each chain keeps a product's picture: the address that hides the barcode."""

from __future__ import annotations

import re

from promolens_catalog.chains import Chain

# Codes of gifts, re-used codes and nameless files all end in the number of their product.
NUMBERS = 5_000_000
_NAMELESS_FROM = 0xA51C0DE000

_PATTERNS = {
    Chain.CU: re.compile(r"/product/\d{2}(\d{10})\d(?:_1)?\.(?:jpg|png)"),
    Chain.GS25: re.compile(r"/imgsvr/item/GD_\d{2}(\d{10})\d_00[123]\.jpg"),
    Chain.SEVEN: re.compile(r"/upload/product/\d{2}(\d{5}/\d{5})\d\.1\.jpg"),
    Chain.EMART24: re.compile(r"/cmsbo/upload/nHq/plu_image/500x500/\d{2}(\d{10})\d\.JPG"),
    Chain.CSPACE: re.compile(r"/program_file/goods/item_(\d{7})\.jpg"),
}
_NAMELESS = re.compile(r"/product/([0-9A-F]{10})\.jpg")
PLACEHOLDERS = {
    Chain.CU: ("/images/common/new.png",),
    Chain.GS25: ("/imgsvr/item/null",),
    Chain.SEVEN: ("/front/img/product/product_list_01.jpg",),
    Chain.EMART24: ("/assets/assets/imgs/productPlaceHolder.png",),
    Chain.CSPACE: ("/images/no_img.gif",),
}


def image_path(chain: Chain, barcode: str, draw: float = 0.5) -> str:
    """Return a picture's path at `chain`; `draw` in [0, 1) chooses between its spellings."""
    if chain is Chain.CU:
        return f"/product/{barcode}_1.png" if draw < 0.1 else f"/product/{barcode}.jpg"
    if chain is Chain.GS25:
        return f"/imgsvr/item/GD_{barcode}_00{1 + int(draw * 3)}.jpg"
    if chain is Chain.SEVEN:
        return f"/upload/product/{barcode[:7]}/{barcode[7:]}.1.jpg"
    if chain is Chain.EMART24:
        return f"/cmsbo/upload/nHq/plu_image/500x500/{barcode}.JPG"
    return f"/program_file/goods/item_{int(barcode[2:12]):07d}.jpg"


def nameless_path(barcode: str) -> str:
    """Return the path of a CU picture whose file name is no barcode."""
    return f"/product/{_NAMELESS_FROM + int(barcode[2:12]):X}.jpg"


def is_picture(chain: Chain, path: str) -> bool:
    """Say whether `path` is a product's picture or a placeholder for one."""
    return path in PLACEHOLDERS[chain] or number_of(chain, path) is not None


def number_of(chain: Chain, path: str) -> int | None:
    """Return the number of the product whose picture `path` is; `None` for another path."""
    found = _PATTERNS[chain].fullmatch(path)
    if found is not None:
        return int(found[1].replace("/", "")) % NUMBERS
    nameless = _NAMELESS.fullmatch(path) if chain is Chain.CU else None
    return (int(nameless[1], 16) - _NAMELESS_FROM) % NUMBERS if nameless else None

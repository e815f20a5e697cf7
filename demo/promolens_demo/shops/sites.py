"""The stand-in sites, as an explicit table."""

from __future__ import annotations

from promolens_catalog.chains import Chain
from promolens_demo.shops.cspace import CSPACE
from promolens_demo.shops.cu import CU
from promolens_demo.shops.emart24 import EMART24
from promolens_demo.shops.gs25 import GS25
from promolens_demo.shops.seven import SEVEN
from promolens_demo.shops.site import StandIn

SITES: dict[Chain, StandIn] = {site.chain: site for site in (CU, GS25, SEVEN, EMART24, CSPACE)}

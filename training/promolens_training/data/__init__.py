"""Datasets: what is in a folder of photos, whether it is sound, and how it is split."""

from promolens_training.data.load import load_photo_set, require_trainable
from promolens_training.data.photos import Photo, PhotoSet, ProductClass
from promolens_training.data.sources import assign_sources
from promolens_training.data.splits import grouped_kfold, split_holdout

__all__ = [
    "Photo",
    "PhotoSet",
    "ProductClass",
    "assign_sources",
    "grouped_kfold",
    "load_photo_set",
    "require_trainable",
    "split_holdout",
]

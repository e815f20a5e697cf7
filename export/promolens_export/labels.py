"""The labels in output order, for labels.json and for the label files inside the model."""

from __future__ import annotations

from collections.abc import Sequence

from promolens_export.metadata import LabelFile
from promolens_runtime.labels import Label
from promolens_training.data.photos import ProductClass


def labels_of(classes: Sequence[ProductClass]) -> tuple[Label, ...]:
    """Return what each output stands for; names that are not known are the class's own."""
    return tuple(
        Label(
            index=index,
            label=product.name,
            item_id=product.item_id,
            barcodes=product.barcodes,
            name_ko=product.name_ko or product.name,
            name_en=product.name_en or product.name,
            parent=product.parent,
            aliases=product.aliases,
        )
        for index, product in enumerate(classes)
    )


def label_files(labels: Sequence[Label]) -> tuple[LabelFile, ...]:
    """Return the metadata's label files: the labels, and the names in Korean and English."""
    return (
        LabelFile("labels.txt", "", tuple(label.label for label in labels)),
        LabelFile("labels_ko.txt", "ko", tuple(label.name_ko for label in labels)),
        LabelFile("labels_en.txt", "en", tuple(label.name_en for label in labels)),
    )

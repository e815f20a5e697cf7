"""MODEL_CARD.md: the manifest said to people, and nothing that the manifest does not say.

The headings follow Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv 1810.03993).
"""

from __future__ import annotations

from promolens_runtime.manifest import Manifest, Measured, UnknownRule


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _figures_row(name: str, figures: Measured) -> str:
    low, high = figures.top1_interval
    coarse = "-" if figures.coarse_top1 is None else _percent(figures.coarse_top1)
    return (
        f"| {name} | {figures.n} | {_percent(figures.top1)} | {_percent(low)} to {_percent(high)} "
        f"| {_percent(figures.top3)} | {_percent(figures.top5)} | {coarse} | {figures.ece:.3f} |"
    )


def _figures(manifest: Manifest) -> list[str]:
    metrics = manifest.metrics
    return [
        f"Measured on: {metrics.evaluated_on}",
        "",
        "| model | n | top-1 | 95 % interval | top-3 | top-5 | coarse top-1 | ECE |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        _figures_row("float", metrics.float_model),
        _figures_row("shipped (int8)", metrics.shipped),
        "",
        f"The two give the same first answer for {_percent(metrics.agreement)} of the photos; "
        f"int8 alone is right on {metrics.won}, float alone on {metrics.lost}. ECE is the expected "
        "calibration error after temperature scaling; how it was measured stands above the table. "
        f"Apps use the probabilities softmax(logits / {manifest.temperature:.3f}).",
    ]


def _unknown(rule: UnknownRule) -> str:
    known = (
        f"An answer counts as known when its {rule.score} is at least {rule.accept_at_least:.3f}: "
        f"{_percent(rule.true_accept_rate)} of {rule.n_known} photos of known products pass."
    )
    if rule.false_accept_rate is None:
        return f"{known} How many unknown things pass was not measured: no such photos were given."
    return (
        f"{known} So do {_percent(rule.false_accept_rate)} of {rule.n_unknown} photos of things "
        "that the model was never taught."
    )


def _limits(manifest: Manifest) -> list[str]:
    side_px = manifest.preprocessing.width_px
    return [
        "- It names one product a picture, seen in the centre square; it does not find or count.",
        "- It knows only the products of labels.json, in the packaging of the training photos.",
        f"- It sees {side_px} x {side_px} pixels: small print and flavours that differ only there "
        "are beyond it.",
        "- The figures hold for photos like the evaluation photos. Other shops, light or cameras "
        "can give lower ones: measure with `promolens evaluate BUNDLE DATA`.",
        "- An answer is a suggestion. Do not bill, weigh or warn of allergens by it alone.",
    ]


def _origin(manifest: Manifest) -> list[str]:
    prints = manifest.fingerprints
    tools = ", ".join(f"{name} {version}" for name, version in sorted(manifest.tools.items()))
    recipe = manifest.recipe.get("name", "unnamed")
    return [
        f"- Backbone `{manifest.backbone}`, recipe `{recipe}`, seed {manifest.seed}.",
        f"- Dataset fingerprint `{prints.dataset}`.",
        f"- int8 ranges from {len(manifest.calibration_images)} training photos, none of them an "
        f"evaluation photo; fingerprint `{prints.calibration_set}`.",
        f"- Recipe fingerprint `{prints.recipe}`.",
        f"- Made with {tools}.",
    ]


def model_card(manifest: Manifest, n_classes: int) -> str:
    """Return the card in Markdown; the same manifest gives the same text.

    `n_classes` is the width of the logits. The card's own entry in `files` is not looked at.
    """
    shipped = manifest.metrics.shipped
    sections = [
        f"# {manifest.bundle_id}, version {manifest.version}",
        f"A picture classifier for {n_classes} products that runs on a phone: full int8, "
        f"{manifest.files[manifest.model('classifier').file].size_bytes / 1e6:.1f} MB, "
        f"top-1 {_percent(shipped.top1)} (n = {shipped.n}).",
        "## Intended use",
        "To name the product in front of a phone's camera, so that an app can show its promotions, "
        "and to say so when it is probably none of the products. Questions that the figures below "
        "do not answer are outside its use.",
        "## Figures",
        "\n".join(_figures(manifest)),
        "## Things it was not taught",
        _unknown(manifest.unknown),
        "## Limits",
        "\n".join(_limits(manifest)),
        "## Data and making",
        "\n".join(_origin(manifest)),
        "## Licence",
        f"- Pretrained weights: {manifest.licence.weights}\n- This bundle: "
        f"{manifest.licence.bundle}",
    ]
    return "\n\n".join(sections) + "\n"

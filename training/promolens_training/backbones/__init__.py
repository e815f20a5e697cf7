"""Networks with ImageNet weights."""

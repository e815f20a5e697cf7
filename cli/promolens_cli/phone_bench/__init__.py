"""`promolens bench phone`: LiteRT's own benchmark on a phone that is connected by adb."""

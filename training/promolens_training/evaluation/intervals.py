from promolens_runtime.intervals import *  # noqa: F403,D100

"""The steps that build the tables, oldest first, run by `upgrading`.

`REVISION` is the newest: a catalog that has it needs no look at the steps.
"""

REVISION = "0003"

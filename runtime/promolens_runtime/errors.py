"""Every error that promolens raises on purpose.

    PromolensError
    ├── InputError        what the user gave (a file, a folder, an option) cannot be used
    │   └── ImageError    one picture cannot be decoded within the limits
    ├── BundleError       a bundle is damaged, foreign or does not fit
    │   └── SignatureError  its signature is missing or wrong
    ├── GateError         a measured figure misses its budget (int8 loses too much)
    └── MissingError      something that an extra or a download would bring is not here

The text of each says what was expected, what was received and what to do, in one line; the command
line prints it after `error: ` and ends with `exit_status`.
"""


class PromolensError(Exception):
    """Root of the tree. `exit_status` is what the command line ends with."""

    exit_status = 2


class InputError(PromolensError):
    """What the user gave cannot be used."""


class ImageError(InputError):
    """A picture cannot be decoded within the limits."""


class BundleError(PromolensError):
    """A bundle is damaged, foreign or does not fit."""

    exit_status = 3


class SignatureError(BundleError):
    """A bundle's signature is missing or wrong."""


class GateError(PromolensError):
    """A measured figure misses its budget."""

    exit_status = 4


class MissingError(PromolensError):
    """Something that an extra or a download would bring is not on this machine."""

    exit_status = 5

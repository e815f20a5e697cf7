"""Whether the bundle's model file gives the same answers on an emulated arm64 phone processor.

    .venv/bin/python benchmarks/arm64.py android_assets/bundle demo_data/photos
    .venv/bin/python benchmarks/arm64.py BUNDLE PHOTOS --count 100 --cpu cortex-a53 --out arm64.json

Prepares `--count` photos (evenly spread over the folder), runs the very same model file on them
with LiteRT here, and with LiteRT's arm64 build under qemu's user-mode emulation. Passes when the
first answer is the same on every photo. Emulation says nothing about speed.

Everything that it needs is fetched once into `--cache` and nothing is installed: a static
qemu-user of Debian 13 (Debian 12's crashes in this runtime), an arm64 Python of Debian 12, and the
arm64 wheels of the LiteRT and NumPy versions that are installed here. Needs apt, dpkg-deb, pip and
about 400 MB of disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError, PromolensError
from promolens_runtime.images import open_rgb
from promolens_runtime.manifest import ModelEntry
from promolens_runtime.preprocess import preprocess_image

SOURCES = (
    "deb [arch=arm64] http://deb.debian.org/debian bookworm main\n"
    "deb [arch=amd64] http://deb.debian.org/debian trixie main\n"
)
QEMU = "qemu-user:amd64"
PYTHON = "3.11"
# An arm64 Python that can import NumPy, without the rest of a system.
ARM_PACKAGES = (
    f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib",
    "libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0",
    "liblzma5", "libcrypt1", "libuuid1",
)  # fmt: skip
WHEELS = ("ai-edge-litert", "numpy")
PLATFORMS = ("manylinux_2_27_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64")

# What runs under the emulator: nothing but NumPy and LiteRT.
GUEST = """
import sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, pictures, signature, name, out = sys.argv[1:]
interpreter = Interpreter(model_path=model, num_threads=1)
runner = interpreter.get_signature_runner(signature)
tensors = np.load(pictures)
started = time.perf_counter()
logits = np.stack([runner(**{name: tensor[None]})['logits'][0] for tensor in tensors])
np.save(out, logits)
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Comparison:
    """The same file here and there, on `pictures` pictures.

    Attributes:
        cpu: the processor that was emulated.
        same_top1, bit_equal: on how many the first answer, and all logits, were the same.
        largest_difference, tolerance: largest absolute one of a logit, and the manifest's.
        seconds: of the emulated runs together.
    """

    cpu: str
    pictures: int
    same_top1: int
    bit_equal: int
    largest_difference: float
    tolerance: float
    seconds: float


def compare(
    here: NDArray[np.float32],
    there: NDArray[np.float32],
    tolerance: float,
    cpu: str,
    seconds: float,
) -> Comparison:
    """Compare logits `[n, classes]` of the two machines."""
    return Comparison(
        cpu=cpu,
        pictures=len(here),
        same_top1=int((here.argmax(axis=1) == there.argmax(axis=1)).sum()),
        bit_equal=int((here == there).all(axis=1).sum()),
        largest_difference=float(np.abs(here - there).max()),
        tolerance=tolerance,
        seconds=round(seconds, 1),
    )


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a program; returns what it printed. Raises InputError with its last line."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise InputError(
            f"Expected {Path(str(command[0])).name} to succeed. Received status "
            f"{done.returncode}: {last[:200]}. Look at the network, or clear --cache."
        )
    return done.stdout


def apt_options(cache: Path) -> list[str]:
    """Return what keeps apt inside `cache`: its own sources, lists and architectures."""
    root = cache / "apt"
    for name in ("state/lists/partial", "cache/archives/partial", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "state/status").touch()
    (root / "etc/sources.list").write_text(SOURCES)
    settings = {
        "Dir::State": root / "state",
        "Dir::State::status": root / "state/status",
        "Dir::Cache": root / "cache",
        "Dir::Etc": root / "etc",
        "Dir::Etc::trustedparts": "/etc/apt/trusted.gpg.d",
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Sandbox::User": "root",
    }
    words = [f"-o{name}={value}" for name, value in settings.items()]
    return [*words, "-oAPT::Architectures::=amd64"]


def fetch(cache: Path) -> None:
    """Fetch emulator, arm64 Python and wheels into `cache`, unless they are there."""
    done = cache / "complete"
    wanted = " ".join(f"{name}=={version(name)}" for name in WHEELS)
    if done.is_file() and done.read_text() == wanted:
        return
    print("fetching the emulator and an arm64 Python, once", file=sys.stderr)
    options = apt_options(cache)
    run(["apt-get", *options, "update"])
    for folder, names in (("qemu", (QEMU,)), ("root", ARM_PACKAGES)):
        debs = cache / f"{folder}-debs"
        debs.mkdir(exist_ok=True)
        run(["apt-get", *options, "download", *names], cwd=debs)
        for deb in sorted(debs.glob("*.deb")):
            run(["dpkg-deb", "-x", deb, cache / folder])
    lay_out(cache / "root")
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade",
         "--only-binary=:all:", *platforms, "--python-version", PYTHON, "--target",
         cache / "site", *wanted.split()])  # fmt: skip
    done.write_text(wanted)


def lay_out(root: Path) -> None:
    """Make /lib what Debian makes it after unpacking: a link to /usr/lib."""
    lib = root / "lib"
    if lib.is_dir() and not lib.is_symlink():
        run(["cp", "-a", f"{lib}/.", root / "usr/lib"])
        run(["rm", "-r", lib])
    if not lib.is_symlink():
        lib.symlink_to("usr/lib")


def emulated(
    cache: Path, cpu: str, model: Path, tensors: NDArray[np.uint8], entry: ModelEntry
) -> tuple[NDArray[np.float32], float]:
    """Return the logits `[n, classes]` that the emulated processor gives, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, out = Path(folder) / "pictures.npy", Path(folder) / "logits.npy"
        np.save(pictures, tensors)
        said = run(
            [cache / "qemu/usr/bin/qemu-aarch64", "-cpu", cpu, "-L", cache / "root",
             "-E", f"PYTHONPATH={cache / 'site'}", "-E", "OPENBLAS_NUM_THREADS=1",
             cache / f"root/usr/bin/python{PYTHON}", "-c", GUEST,
             model, pictures, entry.signature, entry.inputs[0].name, out]
        )  # fmt: skip
        return np.load(out), float(said.split()[-1])


def spread(folder: Path, count: int) -> list[Path]:
    """Return at most `count` of the JPEG files below `folder`, evenly spread over their names."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        raise InputError(f"Expected a folder with JPEG files. Received {folder}. Name another.")
    places = np.linspace(0, len(files) - 1, min(count, len(files)))
    return [files[round(float(place))] for place in places]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run both and return the comparison with what it was made with."""
    from promolens_runtime.recognizer import Recognizer
    from promolens_runtime.signing import verification_key

    recognizer = Recognizer.open(arguments.bundle, public_key=verification_key(), num_threads=1)
    spec = recognizer.manifest.preprocessing
    photos = spread(arguments.photos, arguments.count)
    tensors = np.stack(
        [preprocess_image(open_rgb(p, min_short_px=spec.min_short_px), spec) for p in photos]
    )
    here = np.stack([recognizer.predict(photo).logits for photo in photos])
    entry = recognizer.manifest.model("classifier")
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    fetch(cache)
    qemu = run([cache / "qemu/usr/bin/qemu-aarch64", "--version"]).splitlines()[0]
    found = []
    for cpu in arguments.cpu:
        model = (arguments.bundle / entry.file).resolve()
        there, seconds = emulated(cache, cpu, model, tensors, entry)
        tolerance = recognizer.manifest.golden.logits_tolerance
        found.append(asdict(compare(here, there, tolerance, cpu, seconds)))
    return {
        "bundle": recognizer.manifest.bundle_id,
        "model_sha256": recognizer.manifest.files[entry.file].sha256,
        "emulator": qemu,
        "packages": {name: version(name) for name in WHEELS},
        "comparisons": found,
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table."""
    lines = [
        "| emulated processor | pictures | same first answer | bit-equal | "
        "largest logit difference (allowed) | s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in result["comparisons"]:
        lines.append(
            f"| {row['cpu']} | {row['pictures']} | {row['same_top1']} | {row['bit_equal']} | "
            f"{row['largest_difference']:.3g} ({row['tolerance']:.3g}) | {row['seconds']} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table; 1 where a first answer differs, 2 where it cannot be measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=20, help="photos (20)")
    parser.add_argument("--cpu", action="append", help="processor, repeatable (cortex-a76)")
    parser.add_argument("--cache", type=Path, default=Path("runs/arm64"))
    parser.add_argument("--out", type=Path, help="write JSON")
    arguments = parser.parse_args()
    arguments.cpu = arguments.cpu or ["cortex-a76"]
    try:
        result = measure(arguments)
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(result))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(any(row["same_top1"] < row["pictures"] for row in result["comparisons"]))


if __name__ == "__main__":
    raise SystemExit(main())

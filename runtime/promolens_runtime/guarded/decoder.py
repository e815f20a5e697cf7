"""The parent's side: decode pictures of strangers in a confined process that is kept warm.

Decoders of picture formats are large programs in C that read what strangers send. Here they run in
a process without the environment's secrets, with little memory, no right to write files, and an end
to its time: what goes wrong there costs one picture.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from queue import Empty, LifoQueue

from promolens_runtime.errors import ImageError, PromolensError
from promolens_runtime.guarded import frames
from promolens_runtime.guarded.confinement import Confinement
from promolens_runtime.guarded.frames import Decoded
from promolens_runtime.images import ImageLimits
from promolens_runtime.preprocess import Preprocessing

_PIECE_BYTES = 1 << 16
# Nothing of the parent's environment but what the child needs: secrets are in there.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class PictureTooSlowError(ImageError):
    """Decoding took longer than is allowed."""


class PictureRefusedError(ImageError):
    """The decoding process died of the picture."""


class DecoderUnavailableError(PromolensError):
    """No decoding process could be started, or all of them are busy."""


@dataclass(frozen=True)
class GuardConfig:
    """How pictures are decoded.

    Attributes:
        limits: bytes and pixels of a picture.
        confinement: of the process.
        time_s: wall time for one picture.
        start_s: wall time for the process to start.
        pictures: after so many a fresh process takes over: what leaks goes.
    """

    limits: ImageLimits = field(default_factory=ImageLimits)
    confinement: Confinement = field(default_factory=Confinement)
    time_s: float = 8.0
    start_s: float = 60.0
    pictures: int = 1_000

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError."""
        if not (self.time_s > 0 and self.start_s > 0 and self.pictures >= 1):
            raise ValueError("time_s, start_s and pictures must be above 0")


class _TooLateError(Exception):
    """The moment passed."""


class _GoneError(Exception):
    """The child ended, or talks nonsense."""


class _Child:
    """One process. Not for several threads."""

    def __init__(self, settings: bytes, start_s: float) -> None:
        try:
            self.process = subprocess.Popen(
                # Isolated: neither this folder nor the environment say what is imported.
                [sys.executable, "-I", "-m", "promolens_runtime.guarded.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                # Ctrl-C in a terminal is for the parent, who ends it in order.
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise _unavailable(str(error.strerror)) from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self._from = self.process.stdin, self.process.stdout
        os.set_blocking(self._to.fileno(), False)
        os.set_blocking(self._from.fileno(), False)
        self._ready_by_s = time.monotonic() + start_s
        self._ready = False
        self.answered = 0
        self._settings = settings

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def await_ready(self) -> None:
        """Raises DecoderUnavailableError."""
        if self._ready:
            return
        try:
            self.send(self._settings, self._ready_by_s)
            kind, _ = self.receive(16, self._ready_by_s)
        except (_GoneError, _TooLateError) as error:
            raise _unavailable("one that does not start") from error
        if kind != frames.READY:
            raise _unavailable("one that says something else")
        self._ready = True

    def send(self, data: bytes, until_s: float) -> None:
        rest = memoryview(data)
        descriptor = self._to.fileno()
        while rest:
            _wait(descriptor, select.POLLOUT, until_s)
            try:
                rest = rest[os.write(descriptor, rest[:_PIECE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise _GoneError from error

    def receive(self, max_bytes: int, until_s: float) -> tuple[bytes, bytes]:
        kind, size = frames.HEADER.unpack(self._read(frames.HEADER.size, until_s))
        if size > max_bytes:
            raise _GoneError
        return kind, self._read(size, until_s)

    def _read(self, size: int, until_s: float) -> bytes:
        found = bytearray()
        descriptor = self._from.fileno()
        while len(found) < size:
            _wait(descriptor, select.POLLIN, until_s)
            try:
                piece = os.read(descriptor, min(size - len(found), _PIECE_BYTES))
            except BlockingIOError:
                continue
            if not piece:
                raise _GoneError
            found += piece
        return bytes(found)

    def end(self) -> None:
        self.process.kill()
        self._to.close()
        self._from.close()
        self.process.wait()


class GuardedDecoder:
    """One confined process; a new one takes over when it dies. Threads take turns."""

    def __init__(self, spec: Preprocessing, config: GuardConfig | None = None) -> None:
        self._config = config or GuardConfig()
        self._side_px = spec.width_px
        self._settings = frames.frame(frames.SETTINGS, _settings(spec, self._config))
        self._turn = threading.Lock()
        self._child: _Child | None = None

    @property
    def process_id(self) -> int | None:
        """The process that would decode the next picture, None before the first."""
        child = self._child
        return None if child is None else child.process.pid

    def start(self) -> None:
        """Start the process now, not with the first picture; does not wait for it.

        Raises DecoderUnavailableError.
        """
        with self._turn:
            self._current()

    def decode(self, data: bytes, *, whole: bool = False, with_grey: bool = False) -> Decoded:
        """Decode a picture file.

        Args:
            whole: decode every pixel of a JPEG, as `images.load_rgb` does; else at a part of its
                size where the preprocessing allows that.
            with_grey: bring a small grey picture too.

        Raises:
            ImageError: it is no picture within the limits.
            PictureTooSlowError: it took longer than `time_s`; the process was ended.
            PictureRefusedError: the process died of it.
            DecoderUnavailableError: no process could be started.
        """
        self._check_bytes(len(data))
        wishes = (frames.WHOLE if whole else 0) | (frames.WITH_GREY if with_grey else 0)
        with self._turn:
            child = self._current()
            try:
                child.await_ready()
                return self._asked(child, frames.frame(frames.PICTURE, bytes([wishes]) + data))
            except ImageError as error:
                if isinstance(error, PictureTooSlowError | PictureRefusedError):
                    self._replace()
                raise
            except BaseException:
                # What is left in the pipes belongs to this picture: no other may read it.
                self._end()
                raise

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._end()

    def _asked(self, child: _Child, request: bytes) -> Decoded:
        until_s = time.monotonic() + self._config.time_s
        try:
            child.send(request, until_s)
            kind, payload = child.receive(frames.max_answer_bytes(self._side_px), until_s)
            child.answered += 1
            if kind == frames.REFUSAL:
                raise ImageError(frames.plain_text(payload.decode("utf-8", "replace")))
            if kind != frames.ANSWER:
                raise _GoneError
            return frames.decoded(payload, self._side_px)
        except _TooLateError:
            raise PictureTooSlowError(
                f"Expected a picture that is decoded within {self._config.time_s:g} s. Received "
                "one that takes longer. Scale it down or save it again."
            ) from None
        except (_GoneError, ValueError):
            raise PictureRefusedError(
                "Expected a picture that can be decoded. Received one that ended the decoder. "
                "Save it again as a plain JPEG."
            ) from None

    def _check_bytes(self, size_bytes: int) -> None:
        most = self._config.limits.max_bytes
        if not 0 < size_bytes <= most:
            raise ImageError(
                f"Expected a picture of 1 to {most} bytes. Received {size_bytes}. "
                "Send another, or save it smaller."
            )

    def _current(self) -> _Child:
        child = self._child
        if child is not None and (not child.alive or child.answered >= self._config.pictures):
            self._end()
        if self._child is None:
            self._child = _Child(self._settings, self._config.start_s)
        return self._child

    def _replace(self) -> None:
        self._end()
        self._child = _Child(self._settings, self._config.start_s)

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class DecoderPool:
    """Several decoders: as many pictures are decoded at once."""

    def __init__(self, spec: Preprocessing, count: int, config: GuardConfig | None = None) -> None:
        self._decoders = [GuardedDecoder(spec, config) for _ in range(count)]
        self._free: LifoQueue[GuardedDecoder] = LifoQueue()
        for one in self._decoders:
            self._free.put(one)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that are running."""
        return tuple(one.process_id for one in self._decoders if one.process_id is not None)

    def start(self) -> None:
        """Start the processes; does not wait for them. Raises DecoderUnavailableError."""
        for one in self._decoders:
            one.start()

    def decode(
        self, data: bytes, *, whole: bool = False, with_grey: bool = False, wait_s: float = 5.0
    ) -> Decoded:
        """Decode in the next free process; see `GuardedDecoder.decode`.

        Raises:
            DecoderUnavailableError: also where none became free within `wait_s`.
        """
        try:
            decoder = self._free.get(timeout=wait_s)
        except Empty:
            raise _unavailable("all of them busy") from None
        try:
            return decoder.decode(data, whole=whole, with_grey=with_grey)
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """End the processes."""
        for one in self._decoders:
            one.close()


def _wait(descriptor: int, what: int, until_s: float) -> None:
    left_ms = (until_s - time.monotonic()) * 1000
    poll = select.poll()
    poll.register(descriptor, what)
    if left_ms <= 0 or not poll.poll(left_ms):
        raise _TooLateError


def _settings(spec: Preprocessing, config: GuardConfig) -> bytes:
    return json.dumps(
        {
            "preprocessing": spec.to_json(),
            "limits": asdict(config.limits),
            "confinement": config.confinement.to_json(),
        }
    ).encode()


def _unavailable(received: str) -> DecoderUnavailableError:
    return DecoderUnavailableError(
        f"Expected a process that decodes pictures. Received {received}. Ask again later."
    )

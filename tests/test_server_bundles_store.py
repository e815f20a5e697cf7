"""The bundle store: what it refuses, what a kill or a full disk leaves, who is offered what."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle_store_support import WHEN, MakeBundle, Publish, tree
from promolens_runtime.errors import BundleError, InputError
from promolens_server.bundles import channels
from promolens_server.bundles.channels import Channel, ConflictError, Offered
from promolens_server.bundles.publishing import Order, RefusedBundleError, publish_bundle
from promolens_server.bundles.store import STEPS, ArtefactStore, NoReleaseError

FORK = multiprocessing.get_context("fork")


# ---- publishing


def test_a_release_is_kept_as_it_was_signed(
    store: ArtefactStore, publish: Publish, make_bundle: MakeBundle, keys: Any
) -> None:
    done = publish(3)
    assert done.new
    kept = store.folder / "releases" / done.release.id / "files"
    assert tree(kept) == tree(make_bundle(3))
    assert done.release.version == 3
    assert done.release.minimum_app_version == "0.1.0"
    assert done.release.signed_by == keys.own.public
    assert store.channel("stable").current == Offered(done.release.id, 3)
    assert store.channel("beta") == Channel()


def test_another_process_reads_what_was_written(store: ArtefactStore, publish: Publish) -> None:
    done = publish(3, percent=25)
    fresh = ArtefactStore(store.folder.parent)
    assert fresh.release(done.release.id) == done.release
    assert fresh.channel("stable") == done.channel
    assert fresh.releases() == [done.release]


def test_compressed_files_give_the_file_back(store: ArtefactStore, publish: Publish) -> None:
    import gzip

    import brotli

    release = publish(3).release
    plain = store.path_of(release, "golden.json").read_bytes()
    assert set(release.files["golden.json"].encoded) == {"br", "gzip"}
    assert brotli.decompress(store.path_of(release, "golden.json", "br").read_bytes()) == plain
    assert gzip.decompress(store.path_of(release, "golden.json", "gzip").read_bytes()) == plain
    assert release.files["manifest.sig"].encoded == {}


def _spoil_model(bundle: Path) -> None:
    data = bytearray((bundle / "model.tflite").read_bytes())
    data[-1] ^= 1
    (bundle / "model.tflite").write_bytes(data)


def _spoil_signature(bundle: Path) -> None:
    (bundle / "manifest.sig").write_bytes(b"A" * 86 + b"==\n")


def _drop_signature(bundle: Path) -> None:
    (bundle / "manifest.sig").unlink()


def _add_stray(bundle: Path) -> None:
    (bundle / "extra.sh").write_text("#!/bin/sh\n")


def _link_model(bundle: Path) -> None:
    (bundle / "model.tflite").rename(bundle.parent / "elsewhere.tflite")
    (bundle / "model.tflite").symlink_to(bundle.parent / "elsewhere.tflite")


@pytest.mark.parametrize(
    "spoil", [_spoil_model, _spoil_signature, _drop_signature, _add_stray, _link_model]
)
def test_a_bundle_that_does_not_verify_leaves_nothing_behind(
    store: ArtefactStore, publish: Publish, make_bundle: MakeBundle, keys: Any, spoil: Any
) -> None:
    publish(1)
    before = tree(store.folder)
    bundle = make_bundle(2)
    spoil(bundle)
    with pytest.raises(BundleError):
        publish_bundle(store, bundle, keys.own.public, Order(), WHEN)
    assert tree(store.folder) == before
    assert list((store.folder / "incoming").iterdir()) == []


def test_wrong_golden_vectors_are_found_before_phones_find_them(
    tmp_path: Path,
    store: ArtefactStore,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Any,
    keys: Any,
) -> None:
    """Signed truly, every hash right: only running the model shows that it says something else."""
    from bundle_files import tiny_golden, write_bundle
    from promolens_runtime.golden import Golden, golden_json, golden_npz

    golden = tiny_golden(tiny_model_bytes)
    other = Golden(dict(golden.tensors) | {"logits": golden.tensors["logits"] + 5})
    changes = {"golden.npz": golden_npz(other), "golden.json": golden_json(other)}
    write_bundle(tmp_path / "b", tiny_manifest_template, tiny_model_bytes, keys.own, changes)
    with pytest.raises(RefusedBundleError, match="logits"):
        publish_bundle(store, tmp_path / "b", keys.own.public, Order(), WHEN)
    assert store.releases() == []


def test_another_key_is_refused(store: ArtefactStore, make_bundle: MakeBundle, keys: Any) -> None:
    with pytest.raises(RefusedBundleError, match="signed by"):
        publish_bundle(store, make_bundle(1), keys.other.public, Order(), WHEN)
    with pytest.raises(RefusedBundleError, match="public key"):
        publish_bundle(store, make_bundle(1), None, Order(), WHEN)


def test_a_downgrade_needs_the_flag(store: ArtefactStore, publish: Publish) -> None:
    publish(5)
    with pytest.raises(InputError, match=r"at least 5.*Received 4"):
        publish(4)
    assert [one.version for one in store.releases()] == [5]
    assert publish(4, allow_downgrade=True).channel.current.version == 4  # type: ignore[union-attr]
    # 5 was rolled out: a version between is refused by the phones that have it.
    assert store.channel("stable").highest == 5


def test_one_version_has_one_content(store: ArtefactStore, publish: Publish) -> None:
    publish(5, channel="beta")
    with pytest.raises(InputError, match="one content for tiny version 5"):
        publish(5, card=b"# other\n")
    assert store.channel("stable") == Channel()
    again = publish(5)
    assert not again.new
    assert again.channel.current == store.channel("beta").current


def test_a_channel_carries_one_line_of_bundles(store: ArtefactStore, publish: Publish) -> None:
    publish(5)
    with pytest.raises(InputError, match="'tiny', which goes over this channel"):
        publish(6, name="other")
    assert len(store.releases()) == 1


@pytest.mark.parametrize("name", ["nightly", "../stable", "stable/../beta", "", "stable\0"])
def test_only_known_channels(store: ArtefactStore, publish: Publish, name: str) -> None:
    with pytest.raises(InputError, match="Expected a channel among stable, beta"):
        publish(1, channel=name)
    assert not store.folder.exists()


@pytest.mark.parametrize("release_id", ["", "..", "../../etc", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_hashes_name_releases(store: ArtefactStore, publish: Publish, release_id: str) -> None:
    publish(1)
    with pytest.raises(NoReleaseError):
        store.release(release_id)


def test_a_damaged_state_file_is_named(store: ArtefactStore, publish: Publish) -> None:
    publish(1)
    path = store.folder / "channels" / "stable.json"
    path.write_text('{"format": 99}')
    with pytest.raises(InputError, match=r"Expected .*stable\.json"):
        store.channel("stable")


def test_two_publications_at_once_both_arrive(
    store: ArtefactStore, make_bundle: MakeBundle, keys: Any
) -> None:
    bundles = [make_bundle(version) for version in (1, 2, 3)]

    def act(bundle: Path) -> None:
        order = Order("beta", 50, "x", allow_downgrade=True)
        publish_bundle(store, bundle, keys.own.public, order, WHEN)

    children = [FORK.Process(target=act, args=(bundle,)) for bundle in bundles]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert [one.version for one in store.releases()] == [3, 2, 1]
    assert store.channel("beta").revision == 3


# ---- kills and full disks


def _publish_and_die(root: Path, bundle: Path, key: str, step: str) -> None:
    def checkpoint(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    publish_bundle(ArtefactStore(root), bundle, key, Order(), WHEN, checkpoint=checkpoint)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_leaves_the_old_release_or_the_new_one(
    store: ArtefactStore, publish: Publish, make_bundle: MakeBundle, keys: Any, step: str
) -> None:
    old = publish(1)
    bundle = make_bundle(2)
    root = store.folder.parent
    child = FORK.Process(target=_publish_and_die, args=(root, bundle, keys.own.public, step))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    after = ArtefactStore(root)
    offered = after.channel("stable").current
    assert offered is not None
    assert offered.version == (2 if step == "channel-placed" else 1)
    for release in after.releases():
        for name, file in release.files.items():
            data = after.path_of(release, name).read_bytes()
            assert len(data) == file.size_bytes
    assert after.release(old.release.id) == old.release
    # The same order again ends well, and clears up what was left.
    if step != "channel-placed":
        publish_bundle(after, bundle, keys.own.public, Order(), WHEN)
    assert list((after.folder / "incoming").iterdir()) == []
    again = after.channel("stable").current
    assert again is not None
    assert again.version == 2


@pytest.mark.parametrize("limit_bytes", [0, 100, 2_000, 4_000])
def test_a_full_disk_changes_nothing(
    store: ArtefactStore, publish: Publish, make_bundle: MakeBundle, keys: Any, limit_bytes: int
) -> None:
    """A limit on the size of files makes writes come out short, as a full disk does."""
    publish(1)
    bundle = make_bundle(2)
    before = tree(store.folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            publish_bundle(store, bundle, keys.own.public, Order(), WHEN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert tree(store.folder) == before
    assert publish(2).channel.current.version == 2  # type: ignore[union-attr]


# ---- channels


def test_a_phone_stays_on_its_side() -> None:
    """Whoever is among the first 10 % is among the first 50 % too; half of the ids are in half."""
    ids = [f"phone-{number:06d}" for number in range(4_000)]
    state = Channel(current=Offered("a" * 64, 1), candidate=Offered("b" * 64, 2), percent=10)
    early = {one for one in ids if state.offered_to(one) == state.candidate}
    half = channels.rollout(state, 50, WHEN, "min")
    wide = {one for one in ids if half.offered_to(one) == half.candidate}
    assert early < wide
    # Four standard deviations of a binomial: 400 +- 76, 2,000 +- 126.
    assert abs(len(early) - 400) < 76
    assert abs(len(wide) - 2_000) < 126
    assert state.offered_to(None) == state.current


def test_other_phones_go_first_the_next_time() -> None:
    ids = [f"phone-{number:06d}" for number in range(2_000)]
    sides = []
    for release_id in ("b" * 64, "c" * 64):
        state = Channel(candidate=Offered(release_id, 2), percent=10)
        sides.append({one for one in ids if state.offered_to(one)})
    # Independent tenths share a hundredth of all: 20 +- 18.
    assert len(sides[0] & sides[1]) < 40


def test_the_place_of_a_phone_is_written_down() -> None:
    """Apps and dashboards may compute it too: SHA-256 of release, newline, id; first 8 bytes."""
    assert (
        channels.place_of("0" * 64, "phone-000001")
        == int(__import__("hashlib").sha256(b"0" * 64 + b"\nphone-000001").hexdigest()[:16], 16)
        % 10_000
    )


def test_a_rollout_ends_as_the_current_release(store: ArtefactStore, publish: Publish) -> None:
    publish(1)
    state = publish(2, percent=10).channel
    assert (state.current.version, state.candidate.version) == (1, 2)  # type: ignore[union-attr]
    done = channels.rollout(state, 100, WHEN, "min")
    assert done.candidate is None
    assert done.current == state.candidate
    assert done.earlier == (state.current,)
    paused = channels.rollout(state, 0, WHEN, "min")
    assert paused.offered_to("phone-000001") == state.current


def test_rolling_back_goes_one_further_each_time(store: ArtefactStore, publish: Publish) -> None:
    for version in (1, 2, 3):
        publish(version)
    state = publish(4, percent=5).channel
    seen = []
    for _ in range(3):
        state = channels.rollback(state, WHEN, "min")
        assert state.candidate is None
        assert state.current is not None
        seen.append(state.current.version)
    assert seen == [3, 2, 1]
    with pytest.raises(InputError, match="Expected an earlier release to go back to"):
        channels.rollback(state, WHEN, "min")


def test_rolling_back_to_a_version(store: ArtefactStore, publish: Publish) -> None:
    for version in (1, 2, 3):
        state = publish(version).channel
    with pytest.raises(InputError, match=r"\(1, 2\)\. Received version 9"):
        channels.rollback(state, WHEN, "min", 9)
    back = store.change_channel("stable", lambda now: channels.rollback(now, WHEN, "min", 1))
    assert back.current.version == 1  # type: ignore[union-attr]
    assert back.earlier == ()
    # Published once more: it was no downgrade, and goes forward again.
    assert publish(3).channel.current.version == 3  # type: ignore[union-attr]


def test_the_last_writer_is_told_when_somebody_was_faster(
    store: ArtefactStore, publish: Publish
) -> None:
    seen = publish(1, percent=10).channel.revision
    store.change_channel("stable", lambda state: channels.rollout(state, 20, WHEN, "ana"))
    with pytest.raises(ConflictError, match="somebody changed it"):
        store.change_channel(
            "stable",
            lambda state: channels.rollout(state, 100, WHEN, "min"),
            expected_revision=seen,
        )
    assert store.channel("stable").percent == 20


def test_what_was_done_is_kept_with_who_and_when(store: ArtefactStore, publish: Publish) -> None:
    state = publish(1, percent=10, by="min").channel
    later = WHEN + timedelta(hours=1)
    state = channels.rollback(channels.rollout(state, 20, later, "ana"), later, "ana")
    shown = [(deed.by, deed.action, deed.version, deed.percent, deed.at) for deed in state.deeds]
    assert shown == [
        ("min", "publish", 1, 10, WHEN),
        ("ana", "rollout", 1, 20, later),
        ("ana", "rollback", None, 0, later),
    ]


class _Release:
    """As much of a release as a channel looks at."""

    def __init__(self, version: int) -> None:
        self.id, self.name, self.version = f"{version:064x}", "tiny", version


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(1, 100)),
            st.tuples(st.just("rollout"), st.integers(0, 100)),
            st.tuples(st.just("rollback"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_any_order_of_deeds_keeps_a_channel_sound(deeds: list[tuple[str, int]]) -> None:
    state, version = Channel(), 0
    for action, percent in deeds:
        version += 1
        try:
            if action == "publish":
                release: Any = _Release(version)
                after = channels.publish(state, release, percent, WHEN, "x")
            elif action == "rollout":
                after = channels.rollout(state, percent, WHEN, "x")
            else:
                after = channels.rollback(state, WHEN, "x")
        except InputError:
            continue
        assert after.revision == state.revision + 1
        assert after.highest >= state.highest
        assert after.percent < 100
        assert (after.candidate is None) <= (after.percent == 0)
        offered = [one for one in (*after.earlier, after.current, after.candidate) if one]
        assert len(set(offered)) == len(offered)
        assert all(one.version <= after.highest for one in offered)
        assert Channel.from_bytes(after.to_bytes(), "x") == after
        state = after

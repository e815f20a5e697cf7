/**
 * Which gallery is used: the active one that this device keeps, else the one before it; a newer one
 * becomes active once all of it was checked against the bundle in use. One of another model waits.
 */
import { networkReader, type Progress, type ReadFile } from '../bundle/download.ts';
import { sameBytes } from '../bundle/install.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { asProblem, Problem } from '../bundle/problem.ts';
import { BundleStore, type Slot } from '../bundle/store.ts';
import {
  checkFits,
  readGalleryFiles,
  readSignedGallery,
  type SignedGallery,
  type VerifiedGallery,
} from './gallery.ts';
import type { GalleryManifest } from './manifest.ts';

export const DATABASE = 'promolens-galleries';

/** What this device has had of one model's galleries. */
interface GalleryMark {
  readonly modelSha256: string;
  readonly galleryId: string;
  readonly highestVersion: number;
}

export interface KeptGallery {
  readonly gallery: VerifiedGallery;
  readonly origin: Slot | 'network';
}

export interface OpenedGallery {
  readonly kept: KeptGallery | null;
  /** Why what is kept is not used, or could not be kept; the recogniser works without it. */
  readonly problem: Problem | null;
}

/** Opens and updates the galleries of this device. */
export class GalleryKeeper {
  private constructor(private readonly store: BundleStore<GalleryMark> | null) {}

  /** Without storage it works, and a gallery is loaded anew on every start. */
  static async start(database: string = DATABASE): Promise<GalleryKeeper> {
    return new GalleryKeeper(await BundleStore.open<GalleryMark>(database).catch(() => null));
  }

  /** What is kept for this bundle. Never fails: a gallery is no condition for recognising. */
  async open(bundle: Manifest): Promise<OpenedGallery> {
    let problem: Problem | null = null;
    for (const slot of ['active', 'previous'] as const) {
      try {
        const read = (await this.store?.reader(slot)) ?? null;
        if (read === null) continue;
        const signed = await readSignedGallery(read, bundle);
        checkFits(signed.manifest, bundle);
        return { kept: { gallery: await readGalleryFiles(signed, read), origin: slot }, problem };
      } catch (error) {
        const found = asProblem(error);
        // Of the model before: it waits for a new one, as after every new bundle.
        if (found.code !== 'gallery-of-another-model') problem ??= found;
      }
    }
    return { kept: null, problem };
  }

  /** Load the gallery at `baseUrl` and make it the active one. Throws Problem; then nothing changes. */
  async update(
    baseUrl: string,
    bundle: Manifest,
    current: KeptGallery | null,
    progress?: Progress,
  ): Promise<OpenedGallery> {
    const read = networkReader(baseUrl, progress);
    const signed = await readSignedGallery(read, bundle);
    checkFits(signed.manifest, bundle);
    const mark = await this.mark(current);
    checkNotOlder(signed.manifest, mark);
    if (current !== null && isSame(signed, current.gallery)) return { kept: current, problem: null };
    return this.install(signed, read, current);
  }

  /** Remove every gallery from this device. */
  async forget(): Promise<void> {
    await this.store?.clear();
  }

  private async install(
    signed: SignedGallery,
    read: ReadFile,
    current: KeptGallery | null,
  ): Promise<OpenedGallery> {
    const { model_sha256: modelSha256, gallery_id: galleryId, version } = signed.manifest;
    // The same version heals a damaged copy, which is not in use.
    if (current?.gallery.manifest.version === version) {
      throw older(`Version ${version} is here with other contents.`);
    }
    const gallery = await readGalleryFiles(signed, read);
    const kept: KeptGallery = { gallery, origin: 'network' };
    // What failed to open is no last good one.
    const lastGood = current === null ? null : current.origin === 'previous' ? 'previous' : 'active';
    try {
      await this.store?.activate(gallery, { modelSha256, galleryId, highestVersion: version }, lastGood);
    } catch (error) {
      return { kept, problem: asProblem(error) };
    }
    return { kept, problem: null };
  }

  /** An unreadable mark must not lock every gallery out; the one in use counts all the same. */
  private async mark(current: KeptGallery | null): Promise<GalleryMark | null> {
    const mark = await this.store?.mark().catch(() => null);
    if (mark !== null && mark !== undefined) return mark;
    return current === null ? null : markOf(current.gallery.manifest);
  }
}

function markOf(manifest: GalleryManifest): GalleryMark {
  const { model_sha256: modelSha256, gallery_id: galleryId, version } = manifest;
  return { modelSha256, galleryId, highestVersion: version };
}

/** Versions are compared within a model: a new model's galleries begin anew. */
function checkNotOlder({ model_sha256, gallery_id, version }: GalleryManifest, mark: GalleryMark | null): void {
  if (mark === null || mark.modelSha256 !== model_sha256) return;
  if (gallery_id !== mark.galleryId) {
    const detail = `Expected a gallery ${mark.galleryId}. Received ${gallery_id}.`;
    throw new Problem('gallery-of-another-line', detail);
  }
  if (version < mark.highestVersion) {
    throw older(`Expected version ${mark.highestVersion} or newer. Received ${version}.`);
  }
}

function older(detail: string): Problem {
  return new Problem('gallery-older', detail);
}

function isSame(signed: SignedGallery, gallery: VerifiedGallery): boolean {
  return sameBytes(signed.manifestBytes, gallery.manifestBytes);
}

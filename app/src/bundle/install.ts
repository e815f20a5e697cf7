/**
 * Which bundle is used: the active one, else the one before it, else one from the network. A new
 * one becomes active only after `open` has run it on its golden vectors.
 */
import { networkReader, type Progress, type ReadFile } from './download.ts';
import { sha256Hex } from './hashes.ts';
import { asProblem, Problem } from './problem.ts';
import { BundleStore, type Slot } from './store.ts';
import {
  readBundleFiles,
  readSignedManifest,
  type SignedManifest,
  type Trust,
  type VerifiedBundle,
} from './verified.ts';
import { checkSuccession, type Mark } from './versions.ts';

/** Brings a verified bundle to life and proves it on its golden vectors. Throws Problem. */
export type OpenBundle<T> = (bundle: VerifiedBundle) => Promise<T>;

export interface Installed<T> {
  readonly engine: T;
  readonly bundle: VerifiedBundle;
  readonly origin: Slot | 'network';
  /** What went wrong on the way and was survived: a damaged copy, storage that is full. */
  readonly warnings: readonly Problem[];
}

export type Update<T> =
  | { readonly outcome: 'current'; readonly version: number }
  | { readonly outcome: 'installed'; readonly version: number; readonly installed: Installed<T> };

/** Opens and updates the bundles of this device. */
export class Installer<T> {
  private constructor(
    private readonly trust: Trust,
    private readonly openBundle: OpenBundle<T>,
    private readonly store: BundleStore | null,
    private readonly storeProblem: Problem | null,
  ) {}

  /** Without storage (private mode) it still works, and loads the bundle on every start. */
  static async start<T>(
    trust: Trust,
    openBundle: OpenBundle<T>,
    database?: string,
  ): Promise<Installer<T>> {
    try {
      return new Installer(trust, openBundle, await BundleStore.open(database), null);
    } catch (error) {
      return new Installer(trust, openBundle, null, asProblem(error));
    }
  }

  /** Open the best bundle there is; `baseUrl` is asked only when none is kept. Throws Problem. */
  async open(baseUrl: string, progress?: Progress): Promise<Installed<T>> {
    const warnings = this.storeProblem === null ? [] : [this.storeProblem];
    for (const slot of ['active', 'previous'] as const) {
      try {
        const read = (await this.store?.reader(slot)) ?? null;
        if (read === null) continue;
        const bundle = await readBundleFiles(await readSignedManifest(read, this.trust), read);
        const engine = await this.openBundle(bundle);
        return { engine, bundle, origin: slot, warnings };
      } catch (error) {
        warnings.push(asProblem(error));
      }
    }
    const read = networkReader(baseUrl, progress);
    const signed = await readSignedManifest(read, this.trust);
    return this.install(signed, read, warnings, null);
  }

  /** Look for a newer bundle at `baseUrl` and make it the active one. Throws Problem. */
  async update(
    baseUrl: string,
    current: Installed<T>,
    progress?: Progress,
  ): Promise<Update<T>> {
    const read = networkReader(baseUrl, progress);
    const signed = await readSignedManifest(read, this.trust);
    const { bundle_id: bundleId, version: highestVersion } = current.bundle.manifest;
    checkSuccession(signed.manifest, { bundleId, highestVersion });
    if (sameBytes(signed.manifestBytes, current.bundle.manifestBytes)) {
      return { outcome: 'current', version: highestVersion };
    }
    if (signed.manifest.version === highestVersion) {
      throw new Problem('bundle-older', `Version ${highestVersion} is here with other contents.`);
    }
    const lastGood = current.origin === 'previous' ? 'previous' : 'active';
    const installed = await this.install(signed, read, [], lastGood);
    return { outcome: 'installed', version: signed.manifest.version, installed };
  }

  /** Remove every bundle from this device; the next `open` asks the network. */
  async forget(): Promise<void> {
    await this.store?.clear();
  }

  private async install(
    signed: SignedManifest,
    network: ReadFile,
    warnings: readonly Problem[],
    lastGood: Slot | null,
  ): Promise<Installed<T>> {
    checkSuccession(signed.manifest, await this.mark());
    const bundle = await readBundleFiles(signed, this.keptFirst(signed, network));
    const engine = await this.openBundle(bundle);
    try {
      const { bundle_id: bundleId, version: highestVersion } = bundle.manifest;
      await this.store?.activate(bundle, { bundleId, highestVersion }, lastGood);
    } catch (error) {
      return { engine, bundle, origin: 'network', warnings: [...warnings, asProblem(error)] };
    }
    return { engine, bundle, origin: 'network', warnings };
  }

  /** An unreadable mark must not lock the app out of every bundle. */
  private async mark(): Promise<Mark | null> {
    return (await this.store?.mark().catch(() => null)) ?? null;
  }

  private keptFirst(signed: SignedManifest, network: ReadFile): ReadFile {
    return async (name, maxBytes) => {
      const sha256 = signed.manifest.files[name]?.sha256 ?? '';
      const kept = await this.store?.file(sha256).catch(() => undefined);
      const whole = kept !== undefined && (await sha256Hex(kept)) === sha256;
      return whole ? kept : network(name, maxBytes);
    };
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

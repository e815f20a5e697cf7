/** The recogniser as the pages use it: opened once, told apart by what it is doing, kept up to date. */
import { BundleStore } from './bundle/store.ts';
import { asProblem, Problem } from './bundle/problem.ts';
import type { Config } from './config.ts';
import type { Api } from './data/api.ts';
import { text, type JsonObject } from './data/rows.ts';
import type { Announced } from './data/sync.ts';
import { Listeners } from './listeners.ts';
import { tryWebGpu } from './recognition/accelerate.ts';
import type { Opened } from './recognition/protocol.ts';
import { Recogniser, type RecogniserOptions } from './recognition/recogniser.ts';
import type { Settings } from './settings.ts';

export type LensState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'loading'; readonly loadedBytes: number }
  | { readonly kind: 'ready'; readonly opened: Opened }
  | { readonly kind: 'failed'; readonly problem: Problem };

export interface LensPlace {
  readonly workerUrl: string;
  readonly wasmUrl: string;
  readonly publicKeys: readonly string[];
  readonly appVersion: string;
  /** What must be there first. */
  readonly before?: Promise<void>;
}

/** What a channel offers to this phone. */
interface Offer {
  readonly url: string;
  readonly version: number;
  readonly body: JsonObject;
}

/** Sync tells of this channel only. */
const ANNOUNCED_CHANNEL = 'stable';
const OFFER_PATIENCE_MS = 5_000;
const UPDATE_EVERY_MS = 86_400_000;

export class Lens {
  readonly changes = new Listeners<LensState>();
  state: LensState = { kind: 'idle' };
  /** Why the gallery that the server offers is not in use. */
  galleryProblem: Problem | null = null;
  /** The server's gallery is for another recogniser than this phone has by now. */
  galleryWaits = false;
  private opening: Promise<Recogniser> | null = null;
  /** What was tried because of an announcement: what fails is not loaded again with every sync. */
  private heard: Announced = { bundle: null, gallery: null };

  constructor(
    private readonly place: LensPlace,
    private readonly config: Config,
    private readonly api: Api,
    private readonly settings: Settings,
  ) {}

  /** The open recogniser; opens it at first, and again after a failure. Rejects with a Problem. */
  ready(): Promise<Recogniser> {
    this.opening ??= this.open().catch((error: unknown) => {
      this.opening = null;
      const problem = asProblem(error);
      this.become({ kind: 'failed', problem });
      throw problem;
    });
    return this.opening;
  }

  /** Look for a newer bundle, at most once a day unless `now`; rejects with a Problem. */
  async update(now: boolean, atMs: number): Promise<'current' | 'installed' | 'not-yet'> {
    const last = Number(this.settings.get('updated') ?? 0);
    if (!now && Math.abs(atMs - last) < UPDATE_EVERY_MS) return 'not-yet';
    const recogniser = await this.ready();
    const offer = await this.offer('bundles');
    const known = recogniser.opened.version;
    if (offer !== null && offer.version <= known) {
      this.settings.set('updated', String(atMs));
      return 'current';
    }
    const { outcome } = await recogniser.update(offer?.url ?? this.config.bundleUrl);
    this.settings.set('updated', String(atMs));
    if (outcome === 'installed') this.become({ kind: 'ready', opened: recogniser.opened });
    return outcome;
  }

  /** Look for a newer gallery; rejects with a Problem, and the one in use goes on. */
  async updateGallery(): Promise<'current' | 'installed' | 'none' | 'waiting'> {
    [this.galleryProblem, this.galleryWaits] = [null, false];
    try {
      const recogniser = await this.ready();
      const offer = await this.offer('galleries');
      if (offer === null) return 'none';
      const { gallery, modelSha256s } = recogniser.opened;
      this.galleryWaits = !modelSha256s.includes(text(offer.body['model_sha256']) ?? '');
      if (this.galleryWaits) return 'waiting';
      if (gallery !== null && offer.version <= gallery.version) return 'current';
      const outcome = await recogniser.updateGallery(offer.url);
      this.become({ kind: 'ready', opened: recogniser.opened });
      return outcome;
    } catch (error) {
      this.galleryProblem = asProblem(error);
      throw this.galleryProblem;
    }
  }

  /** Fetch at once what the copy's server announces as newer than what is here. */
  async hear({ bundle, gallery }: Announced, atMs: number): Promise<void> {
    if (this.state.kind !== 'ready' || this.config.channel !== ANNOUNCED_CHANNEL) return;
    const [recogniser, before] = [await this.ready(), this.heard];
    this.heard = { bundle, gallery };
    const isNew = bundle !== null && bundle !== before.bundle && bundle > recogniser.opened.version;
    if (isNew) await this.update(true, atMs);
    // A new bundle may have dropped the gallery that was here.
    const has = recogniser.opened.gallery?.version ?? 0;
    if (gallery !== null && gallery > has && (isNew || gallery !== before.gallery)) await this.updateGallery();
  }

  /** Try WebGPU once for each bundle; the next start takes what was faster. */
  async tryAccelerator(): Promise<void> {
    const recogniser = await this.ready();
    const { bundleId, version, accelerator } = recogniser.opened;
    const tried = `${bundleId} ${version} `;
    if (accelerator !== 'wasm' || this.settings.get('accelerator')?.startsWith(tried) === true) return;
    const trial = await tryWebGpu(recogniser, this.options(this.config.bundleUrl, 'wasm'));
    this.settings.set('accelerator', tried + trial.chosen);
  }

  private async open(): Promise<Recogniser> {
    this.become({ kind: 'loading', loadedBytes: 0 });
    await this.place.before;
    const recogniser = await this.openFrom(await this.source());
    this.become({ kind: 'ready', opened: recogniser.opened });
    return recogniser;
  }

  private async openFrom(bundleUrl: string): Promise<Recogniser> {
    const fast = this.settings.get('accelerator')?.endsWith(' webgpu') === true;
    try {
      return await Recogniser.open(this.options(bundleUrl, fast ? 'webgpu' : 'wasm'));
    } catch (error) {
      const shipped = this.config.bundleUrl;
      if (fast) this.settings.set('accelerator', '');
      else if (bundleUrl === shipped) throw error;
      return Recogniser.open(this.options(shipped, 'wasm'));
    }
  }

  /** Where the first bundle comes from: the server's channel, else what came with the app. */
  private async source(): Promise<string> {
    if (await somethingKept()) return this.config.bundleUrl;
    const offer = await this.offer('bundles').catch(() => null);
    return offer?.url ?? this.config.bundleUrl;
  }

  /** What the channel offers to this phone; null where the server has no such thing. */
  private async offer(kind: 'bundles' | 'galleries'): Promise<Offer | null> {
    const headers = { 'Promolens-Install': this.settings.installId };
    const asking = { patienceMs: OFFER_PATIENCE_MS, headers, fresh: true };
    try {
      const body = await this.api.json(`v1/${kind}/${this.config.channel}`, asking);
      const [address, version] = [text(body['manifest_url']), body['version']];
      if (address === undefined || typeof version !== 'number') return null;
      const url = new URL('./', this.api.url(address.replace(/^\//, ''))).href;
      return { url, version, body };
    } catch (error) {
      if (/HTTP 404/.test(String(error))) return null;
      throw new Problem('network-unreachable', String(error));
    }
  }

  private options(bundleUrl: string, accelerator: 'wasm' | 'webgpu'): RecogniserOptions {
    const onProgress = (loadedBytes: number): void => {
      if (this.state.kind === 'loading') this.become({ kind: 'loading', loadedBytes });
    };
    const { workerUrl, wasmUrl, publicKeys, appVersion } = this.place;
    return { workerUrl, wasmUrl, publicKeys, appVersion, bundleUrl, accelerator, onProgress };
  }

  private become(state: LensState): void {
    this.state = state;
    this.changes.tell(state);
  }
}

async function somethingKept(): Promise<boolean> {
  try {
    const store = await BundleStore.open();
    const mark = await store.mark();
    store.close();
    return mark !== null;
  } catch {
    return false;
  }
}

/** One worker's recogniser: a bundle that passed, its network, and pictures going through it. */
import { Installer, type Installed } from '../bundle/install.ts';
import type { Progress } from '../bundle/download.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { Problem } from '../bundle/problem.ts';
import type { VerifiedBundle, VerifiedModel } from '../bundle/verified.ts';
import { fusedAnswer, type Known } from '../gallery/answering.ts';
import { GalleryKeeper, type OpenedGallery } from '../gallery/keeper.ts';
import { answer } from './calibration.ts';
import { figuresOf, quantile } from './figures.ts';
import { checkGolden, type GoldenReport } from './golden.ts';
import { loadEngine, Network, type Engine, type Outputs } from './model.ts';
import { pixelsSource, Preprocessor, type PixelSource } from './preprocess.ts';
import type {
  GalleryOutcome,
  Measurement,
  Opened,
  OpenOptions,
  Picture,
  Recognition,
  UpdateOutcome,
  Warning,
} from './protocol.ts';
import { canvasIsExact, decodeFile, Surface } from './surface.ts';

interface Proven {
  readonly network: Network;
  readonly embedder: Network | null;
  readonly golden: GoldenReport;
  readonly inferenceMs: number;
}

interface Prepared {
  readonly source: PixelSource;
  readonly decodeMs: number;
  release(): void;
}

const WARM_UP_RUNS = 5;

export class Session {
  private readonly surface = new Surface();
  private preprocessor: Preprocessor;

  private constructor(
    private readonly installer: Installer<Proven>,
    private readonly keeper: GalleryKeeper,
    private readonly options: OpenOptions,
    private current: Installed<Proven>,
    private gallery: OpenedGallery,
    private readonly exactPixels: boolean,
    private readonly openMs: number,
  ) {
    this.preprocessor = new Preprocessor(current.bundle.manifest.preprocessing);
  }

  /** Load runtime and bundle side by side, and prove the model. Throws Problem. */
  static async open(options: OpenOptions, progress: Progress): Promise<Session> {
    const start = performance.now();
    const engine = loadEngine(options.wasmUrl, options.accelerator);
    engine.catch(() => undefined);
    const trust = { publicKeys: options.publicKeys, appVersion: options.appVersion };
    const prove = async (bundle: VerifiedBundle): Promise<Proven> => proven(bundle, await engine);
    const installer = await Installer.start(trust, prove, options.database);
    const current = await installer.open(options.bundleUrl, progress);
    const keeper = await GalleryKeeper.start(options.galleryDatabase);
    const gallery = await keeper.open(current.bundle.manifest);
    const exact = await canvasIsExact();
    const openMs = performance.now() - start;
    return new Session(installer, keeper, options, current, gallery, exact, openMs);
  }

  get opened(): Opened {
    const { bundle, engine, origin, warnings } = this.current;
    const { manifest } = bundle;
    return {
      bundleId: manifest.bundle_id,
      version: manifest.version,
      modelSha256s: [bundle.classifier, bundle.embedder].flatMap((model) =>
        model === null ? [] : [manifest.files[model.entry.file]?.sha256 ?? ''],
      ),
      ...this.known,
      galleryProblem: this.gallery.problem && toWarning(this.gallery.problem),
      inputPx: manifest.preprocessing.resize.width_px,
      temperature: manifest.temperature,
      unknown: manifest.unknown,
      accelerator: this.options.accelerator,
      golden: engine.golden,
      inferenceMs: engine.inferenceMs,
      origin,
      exactPixels: this.exactPixels,
      warnings: warnings.map(toWarning),
      openMs: this.openMs,
    };
  }

  /** What the classifier and the gallery in use know. */
  private get known(): Known {
    const { bundle } = this.current;
    const gallery = this.gallery.kept?.gallery;
    if (gallery === undefined) return { labels: bundle.labels, gallery: null };
    const { gallery_id: galleryId, version, answer: rule } = gallery.manifest;
    return { labels: bundle.labels, gallery: { galleryId, version, rule, products: gallery.products } };
  }

  async recognise(picture: Picture, wantTensor: boolean): Promise<Recognition> {
    const start = performance.now();
    const prepared = await this.prepare(picture);
    try {
      const recognition = await this.recogniseSource(prepared, start);
      return wantTensor ? recognition : withoutTensor(recognition);
    } finally {
      prepared.release();
    }
  }

  async update(bundleUrl: string, progress: Progress): Promise<UpdateOutcome> {
    const update = await this.installer.update(bundleUrl, this.current, progress);
    if (update.outcome === 'current') return update;
    this.current.engine.network.close();
    this.current.engine.embedder?.close();
    this.current = update.installed;
    await this.keepGallery();
    this.preprocessor = new Preprocessor(update.installed.bundle.manifest.preprocessing);
    return { outcome: 'installed', version: update.version, opened: this.opened };
  }

  /** Load a newer gallery; the one in use goes on answering until the new one is checked. */
  async updateGallery(galleryUrl: string, progress: Progress): Promise<GalleryOutcome> {
    const before = this.gallery.kept;
    const { manifest } = this.current.bundle;
    this.gallery = await this.keeper.update(galleryUrl, manifest, before, progress);
    const outcome = this.gallery.kept === before ? 'current' : 'installed';
    return { outcome, opened: this.opened };
  }

  /** After a new bundle: a gallery of another model is of no use to it any more. */
  private async keepGallery(): Promise<void> {
    const had = this.gallery.kept !== null;
    this.gallery = await this.keeper.open(this.current.bundle.manifest);
    if (had && this.gallery.kept === null) await this.keeper.forget().catch(() => undefined);
  }

  /** The first few runs are not counted: the compiler is still at work. */
  async measure(picture: Picture, runs: number): Promise<Measurement> {
    const prepared = await this.prepare(picture);
    const [bare, preprocess, inference, total]: number[][] = [[], [], [], []];
    const ratios: number[] = [];
    try {
      let { tensor } = await this.recogniseSource(prepared, performance.now());
      for (let run = 1; run < WARM_UP_RUNS; run += 1) {
        ({ tensor } = await this.recogniseSource(prepared, performance.now()));
      }
      for (let run = 0; run < runs; run += 1) {
        const bareFirst = run % 2 === 0;
        let bareMs = bareFirst ? await this.bareInference(tensor) : 0;
        const { timings } = await this.recogniseSource(prepared, performance.now());
        if (!bareFirst) bareMs = await this.bareInference(tensor);
        bare?.push(bareMs);
        preprocess?.push(timings.preprocessMs);
        inference?.push(timings.inferenceMs);
        total?.push(timings.totalMs);
        ratios.push(timings.totalMs / bareMs);
      }
    } finally {
      prepared.release();
    }
    return {
      runs,
      width: prepared.source.width,
      height: prepared.source.height,
      bareInference: figuresOf(bare ?? []),
      preprocess: figuresOf(preprocess ?? []),
      inference: figuresOf(inference ?? []),
      total: figuresOf(total ?? []),
      ratio: quantile(ratios.sort((a, b) => a - b), 0.5),
    };
  }

  async forget(): Promise<void> {
    await this.installer.forget();
    await this.keeper.forget();
  }

  private async prepare(picture: Picture): Promise<Prepared> {
    const start = performance.now();
    if (picture instanceof Blob) {
      const { bitmap, orientation, opaque } = await decodeFile(picture);
      const source = this.surface.source(bitmap, orientation, opaque);
      return { source, decodeMs: performance.now() - start, release: () => bitmap.close() };
    }
    if ('rgba' in picture) {
      const { rgba, width, height, orientation } = picture;
      if (rgba.length !== width * height * 4) {
        throw new Problem('picture-damaged', `${rgba.length} bytes for ${width} x ${height} px.`);
      }
      const source = pixelsSource(rgba, width, height, orientation);
      return { source, decodeMs: 0, release: () => undefined };
    }
    return { source: this.surface.source(picture), decodeMs: 0, release: () => picture.close() };
  }

  private async recogniseSource(
    { source, decodeMs }: Prepared,
    start: number,
  ): Promise<Recognition & { tensor: Uint8Array }> {
    const ready = performance.now();
    const tensor = await this.preprocessor.tensor(source);
    const prepared = performance.now();
    const outputs = await this.current.engine.network.run(tensor);
    const logits = outputs.get('logits');
    if (logits === undefined) throw new Problem('model-differs', 'The model gave no logits.');
    const inferred = performance.now();
    const gallery = await this.galleryCosines(tensor, outputs);
    const rule = this.current.bundle.manifest;
    const result = fusedAnswer(this.known, answer(logits, rule), gallery);
    const searched = performance.now();
    const timings = {
      decodeMs,
      preprocessMs: prepared - ready,
      inferenceMs: inferred - prepared,
      galleryMs: searched - inferred,
      totalMs: performance.now() - start,
    };
    return { ...result, logits, gallery, timings, tensor };
  }

  /** Each product's cosine; null without a gallery, and for a picture that points nowhere. */
  private async galleryCosines(tensor: Uint8Array, outputs: Outputs): Promise<Float64Array | null> {
    const gallery = this.gallery.kept?.gallery;
    if (gallery === undefined) return null;
    const { embedder } = this.current.engine;
    const own = gallery.manifest.role === 'classifier' || embedder === null;
    const embedding = (own ? outputs : await embedder.run(tensor)).get('embedding');
    return embedding === undefined ? null : gallery.search.productCosines(embedding);
  }

  private async bareInference(tensor: Uint8Array): Promise<number> {
    const start = performance.now();
    await this.current.engine.network.run(tensor);
    return performance.now() - start;
  }
}

async function proven(bundle: VerifiedBundle, engine: Engine): Promise<Proven> {
  const timesMs: number[] = [];
  const limits = bundle.manifest.golden;
  const { network, golden } = await provenModel(bundle.classifier, engine, limits, timesMs);
  const inferenceMs = figuresOf(timesMs).medianMs;
  if (bundle.embedder === null) return { network, embedder: null, golden, inferenceMs };
  try {
    const { network: embedder } = await provenModel(bundle.embedder, engine, limits, []);
    return { network, embedder, golden, inferenceMs };
  } catch (error) {
    network.close();
    throw error;
  }
}

async function provenModel(
  { entry, model, golden }: VerifiedModel,
  engine: Engine,
  limits: Manifest['golden'],
  timesMs: number[],
): Promise<{ network: Network; golden: GoldenReport }> {
  const network = await Network.open(model, entry, engine);
  try {
    const run = async (picture: Uint8Array): ReturnType<Network['run']> => {
      const start = performance.now();
      const outputs = await network.run(picture);
      timesMs.push(performance.now() - start);
      return outputs;
    };
    return { network, golden: await checkGolden(run, entry, golden, limits) };
  } catch (error) {
    network.close();
    throw error;
  }
}

function toWarning({ code, detail }: Problem): Warning {
  return { code, detail };
}

function withoutTensor(recognition: Recognition): Recognition {
  const { tensor: _tensor, ...rest } = recognition;
  return rest;
}

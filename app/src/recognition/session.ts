/** One worker's recogniser: a bundle that passed, its network, and pictures going through it. */
import { Installer, type Installed } from '../bundle/install.ts';
import type { Progress } from '../bundle/download.ts';
import { Problem } from '../bundle/problem.ts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import { answer } from './calibration.ts';
import { figuresOf, quantile } from './figures.ts';
import { checkGolden, type GoldenReport } from './golden.ts';
import { loadEngine, Network, type Engine } from './model.ts';
import { pixelsSource, Preprocessor, type PixelSource } from './preprocess.ts';
import type {
  Measurement,
  Opened,
  OpenOptions,
  Picture,
  Recognition,
  UpdateOutcome,
} from './protocol.ts';
import { canvasIsExact, decodeFile, Surface } from './surface.ts';

interface Proven {
  readonly network: Network;
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
    private readonly options: OpenOptions,
    private current: Installed<Proven>,
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
    const exact = await canvasIsExact();
    return new Session(installer, options, current, exact, performance.now() - start);
  }

  get opened(): Opened {
    const { bundle, engine, origin, warnings } = this.current;
    const { manifest } = bundle;
    return {
      bundleId: manifest.bundle_id,
      version: manifest.version,
      labels: bundle.labels,
      inputPx: manifest.preprocessing.resize.width_px,
      temperature: manifest.temperature,
      unknown: manifest.unknown,
      accelerator: this.options.accelerator,
      golden: engine.golden,
      inferenceMs: engine.inferenceMs,
      origin,
      exactPixels: this.exactPixels,
      warnings: warnings.map(({ code, detail }) => ({ code, detail })),
      openMs: this.openMs,
    };
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
    this.current = update.installed;
    this.preprocessor = new Preprocessor(update.installed.bundle.manifest.preprocessing);
    return { outcome: 'installed', version: update.version, opened: this.opened };
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
    const logits = (await this.current.engine.network.run(tensor)).get('logits');
    if (logits === undefined) throw new Problem('model-differs', 'The model gave no logits.');
    const inferred = performance.now();
    const rule = this.current.bundle.manifest;
    const result = answer(logits, rule);
    const timings = {
      decodeMs,
      preprocessMs: prepared - ready,
      inferenceMs: inferred - prepared,
      totalMs: performance.now() - start,
    };
    return { ...result, logits, timings, tensor };
  }

  private async bareInference(tensor: Uint8Array): Promise<number> {
    const start = performance.now();
    await this.current.engine.network.run(tensor);
    return performance.now() - start;
  }
}

async function proven(bundle: VerifiedBundle, engine: Engine): Promise<Proven> {
  const { classifier, manifest } = bundle;
  const network = await Network.open(bundle.model, classifier, engine);
  const timesMs: number[] = [];
  try {
    const run = async (picture: Uint8Array): ReturnType<Network['run']> => {
      const start = performance.now();
      const outputs = await network.run(picture);
      timesMs.push(performance.now() - start);
      return outputs;
    };
    const golden = await checkGolden(run, classifier, bundle.golden, manifest.golden);
    return { network, golden, inferenceMs: figuresOf(timesMs).medianMs };
  } catch (error) {
    network.close();
    throw error;
  }
}

function withoutTensor(recognition: Recognition): Recognition {
  const { tensor: _tensor, ...rest } = recognition;
  return rest;
}

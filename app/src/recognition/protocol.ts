/** What the page and the recognition worker say to each other. Everything here can be cloned. */
import type { Slot } from '../bundle/store.ts';
import type { ProblemCode } from '../bundle/problem.ts';
import type { Fused, Known } from '../gallery/answering.ts';
import type { Answer, AnswerRule } from './calibration.ts';
import type { Figures } from './figures.ts';
import type { GoldenReport } from './golden.ts';
import type { Accelerator } from './model.ts';

export interface OpenOptions {
  /** Folder of the bundle, ending with a slash. */
  readonly bundleUrl: string;
  /** Folder of the LiteRT.js runtime on this origin, ending with a slash. */
  readonly wasmUrl: string;
  readonly publicKeys: readonly string[];
  readonly appVersion: string;
  readonly accelerator: Accelerator;
  /** Name of the database that keeps bundles; the usual one where absent. */
  readonly database?: string;
  /** The same for galleries. */
  readonly galleryDatabase?: string;
}

export interface Warning {
  readonly code: ProblemCode;
  readonly detail: string;
}

/** What is known once a bundle is open. */
export interface Opened extends AnswerRule, Known {
  readonly bundleId: string;
  readonly version: number;
  /** The models whose embeddings a gallery may be of. */
  readonly modelSha256s: readonly string[];
  /** Why a gallery that is kept, or was just loaded, is not as it should be; all else works. */
  readonly galleryProblem: Warning | null;
  readonly inputPx: number;
  readonly accelerator: Accelerator;
  readonly golden: GoldenReport;
  /** Median time of the golden vectors' runs, to compare accelerators with. */
  readonly inferenceMs: number;
  readonly origin: Slot | 'network';
  /** False where this browser changes pixels that are read back. */
  readonly exactPixels: boolean;
  readonly warnings: readonly Warning[];
  readonly openMs: number;
}

/** Upright or still to be turned, 8 bits, alpha not multiplied in. */
export interface RawPixels {
  readonly rgba: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly orientation: number;
}

export type Picture = ImageBitmap | VideoFrame | Blob | RawPixels;

export interface Timings {
  readonly decodeMs: number;
  readonly preprocessMs: number;
  readonly inferenceMs: number;
  /** The gallery: another model's run where it has one, search, and the answer of both. */
  readonly galleryMs: number;
  readonly totalMs: number;
}

export interface Recognition extends Fused<Answer> {
  readonly logits: Float32Array;
  /** Each gallery product's cosine; null without a gallery, and for a picture of one colour. */
  readonly gallery: Float64Array | null;
  readonly timings: Timings;
  /** The network's input, where it was asked for. */
  readonly tensor?: Uint8Array;
}

export type UpdateOutcome =
  | { readonly outcome: 'current'; readonly version: number }
  | { readonly outcome: 'installed'; readonly version: number; readonly opened: Opened };

export interface GalleryOutcome {
  readonly outcome: 'current' | 'installed';
  readonly opened: Opened;
}

/** Frame to result against bare inference, taken in turns so that other load falls on both. */
export interface Measurement {
  readonly runs: number;
  readonly width: number;
  readonly height: number;
  readonly bareInference: Figures;
  readonly preprocess: Figures;
  readonly inference: Figures;
  readonly total: Figures;
  /** Median over the runs of total / bare inference. */
  readonly ratio: number;
}

export interface Calls {
  open: { options: OpenOptions; result: Opened };
  recognise: { options: { picture: Picture; wantTensor: boolean }; result: Recognition };
  update: { options: { bundleUrl: string }; result: UpdateOutcome };
  updateGallery: { options: { galleryUrl: string }; result: GalleryOutcome };
  measure: { options: { picture: Picture; runs: number }; result: Measurement };
  forget: { options: Record<string, never>; result: null };
}

export type CallName = keyof Calls;

export type Request = {
  [K in CallName]: { readonly id: number; readonly call: K; readonly options: Calls[K]['options'] };
}[CallName];

export type Reply =
  | { readonly id: number; readonly kind: 'result'; readonly result: unknown }
  | { readonly id: number; readonly kind: 'problem'; readonly code: ProblemCode; readonly detail: string }
  | { readonly id: number; readonly kind: 'progress'; readonly loadedBytes: number };

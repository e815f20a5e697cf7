/** What the page and the recognition worker say to each other. Everything here can be cloned. */
import type { Slot } from '../bundle/store.ts';
import type { Label } from '../bundle/labels.ts';
import type { ProblemCode } from '../bundle/problem.ts';
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
}

export interface Warning {
  readonly code: ProblemCode;
  readonly detail: string;
}

/** What is known once a bundle is open. */
export interface Opened extends AnswerRule {
  readonly bundleId: string;
  readonly version: number;
  readonly labels: readonly Label[];
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
  readonly totalMs: number;
}

export interface Recognition extends Answer {
  readonly logits: Float32Array;
  readonly timings: Timings;
  /** The network's input, where it was asked for. */
  readonly tensor?: Uint8Array;
}

export type UpdateOutcome =
  | { readonly outcome: 'current'; readonly version: number }
  | { readonly outcome: 'installed'; readonly version: number; readonly opened: Opened };

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

/** The recogniser without any shell, for the browser tests and the benchmark to drive. */
import { chooseAccelerator, hasWebGpuAdapter, tryWebGpu } from '../../src/recognition/accelerate.ts';
import { GallerySearch } from '../../src/gallery/gallery.ts';
import { PlainDots, WasmDots, type Dots } from '../../src/gallery/search.ts';
import { asProblem } from '../../src/bundle/problem.ts';
import { grabFrame, Recogniser, type RecogniserOptions } from '../../src/recognition/recogniser.ts';
import type { Picture } from '../../src/recognition/protocol.ts';

declare const APP_VERSION: string;
declare const PUBLIC_KEYS: readonly string[];

let recogniser: Recogniser | undefined;
let options: RecogniserOptions | undefined;

function opened(): Recogniser {
  if (recogniser === undefined) throw new Error('not open');
  return recogniser;
}

async function blobOf(url: string): Promise<Blob> {
  return (await fetch(url)).blob();
}

/** A file's pixels as a camera frame of that size: what `VideoFrame` of a video element gives. */
async function frameOf(url: string, width: number, height: number): Promise<VideoFrame> {
  const canvas = new OffscreenCanvas(width, height);
  const bitmap = await createImageBitmap(await blobOf(url));
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, width, height);
  return new VideoFrame(canvas, { timestamp: 0 });
}

function encode(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 32768) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 32768));
  }
  return btoa(binary);
}

async function told(picture: Picture, wantTensor: boolean): Promise<unknown> {
  const { logits, gallery, tensor, ...rest } = await opened().recognise(picture, wantTensor);
  const cosines = gallery === null ? null : encode(new Uint8Array(gallery.buffer));
  return { ...rest, logits: [...logits], cosines, tensor: tensor === undefined ? null : encode(tensor) };
}

/** A gallery of `count` products with random codes, one vector each. */
function randomGallery(count: number, dimensions: number, make: (codes: Int8Array) => Dots): GallerySearch {
  const codes = Int8Array.from({ length: count * dimensions }, () => Math.floor(Math.random() * 255) - 127);
  const scales = new Float32Array(count).fill(0.001);
  const owners = Uint32Array.from({ length: count }, (_, i) => i);
  return new GallerySearch({ dimensions, codes, scales, owners, centre: null }, make);
}

/** Milliseconds of one search, over so many that the clock's steps do not matter. */
function searchMs(search: GallerySearch, embedding: Float32Array, times: number): number {
  const start = performance.now();
  for (let i = 0; i < times; i += 1) search.productCosines(embedding);
  return (performance.now() - start) / times;
}

/** Inference of the open bundle, plain and WebAssembly search of one gallery, in turns. */
async function gallerySpeed(url: string, count: number, dimensions: number, rounds: number): Promise<unknown> {
  const blob = await blobOf(url);
  const wasm = randomGallery(count, dimensions, (codes) => {
    const dots = WasmDots.make(codes, dimensions);
    if (dots === null) throw new Error('no WebAssembly SIMD');
    return dots;
  });
  const plain = randomGallery(count, dimensions, (codes) => new PlainDots(codes, dimensions));
  const embedding = Float32Array.from({ length: dimensions }, () => Math.random() - 0.5);
  const found: { inferenceMs: number; plainMs: number; wasmMs: number }[] = [];
  for (let round = -2; round < rounds; round += 1) {
    const { timings } = await opened().recognise(blob);
    const plainMs = searchMs(plain, embedding, 20);
    const wasmMs = searchMs(wasm, embedding, 20);
    // The compiler is still at work in the first two.
    if (round >= 0) found.push({ inferenceMs: timings.inferenceMs, plainMs, wasmMs });
  }
  return found;
}

/** Every call answers {ok} or {code, detail}, which a driver can read. */
async function guarded(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return { ok: (await work()) ?? null };
  } catch (error) {
    const { code, detail } = asProblem(error);
    return { code, detail };
  }
}

const page = {
  open: (bundleUrl: string, more: Partial<RecogniserOptions> = {}) =>
    guarded(async () => {
      recogniser?.close();
      recogniser = undefined;
      options = {
        workerUrl: '../recognise.js',
        wasmUrl: new URL('../litert/', location.href).href,
        bundleUrl: new URL(bundleUrl, location.href).href,
        publicKeys: PUBLIC_KEYS,
        appVersion: APP_VERSION,
        accelerator: 'wasm',
        ...more,
      };
      recogniser = await Recogniser.open(options);
      return recogniser.opened;
    }),
  recogniseFile: (url: string, wantTensor = false) =>
    guarded(async () => told(await blobOf(url), wantTensor)),
  recognisePixels: (url: string, width: number, height: number, orientation: number) =>
    guarded(async () => {
      const rgba = new Uint8Array(await (await blobOf(url)).arrayBuffer());
      return told({ rgba, width, height, orientation }, true);
    }),
  recogniseFrame: (url: string, width: number, height: number) =>
    guarded(async () => told(await frameOf(url, width, height), true)),
  recogniseCamera: () =>
    guarded(async () => {
      const video = document.createElement('video');
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      await video.play();
      const results: unknown[] = [];
      for (let i = 0; i < 5; i += 1) results.push(await told(await grabFrame(video), false));
      return results;
    }),
  update: (bundleUrl: string) =>
    guarded(() => opened().update(new URL(bundleUrl, location.href).href)),
  updateGallery: (galleryUrl: string) =>
    guarded(() => opened().updateGallery(new URL(galleryUrl, location.href).href)),
  gallerySpeed: (url: string, count: number, dimensions: number, rounds: number) =>
    guarded(() => gallerySpeed(url, count, dimensions, rounds)),
  measure: (url: string, width: number, height: number, runs: number) =>
    guarded(async () => opened().measure(await frameOf(url, width, height), runs)),
  measureFile: (url: string, runs: number) =>
    guarded(async () => opened().measure(await blobOf(url), runs)),
  forget: () => guarded(() => opened().forget()),
  rec: opened,
  facts: () => guarded(async () => opened().opened),
  hasAdapter: hasWebGpuAdapter,
  tryWebGpu: () =>
    guarded(async () => {
      if (options === undefined) throw new Error('not open');
      const { problem, ...trial } = await tryWebGpu(opened(), options);
      return { ...trial, code: problem?.code ?? null, detail: problem?.detail ?? null };
    }),
  chooseAccelerator,
};

Object.assign(globalThis, { page });

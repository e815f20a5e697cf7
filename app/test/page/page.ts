/** The recogniser without any shell, for the browser tests and the benchmark to drive. */
import { chooseAccelerator, hasWebGpuAdapter, tryWebGpu } from '../../src/recognition/accelerate.ts';
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

/**
 * Answers the Python tests, one request after another on standard input: a line of JSON, then
 * `size` raw bytes. Each answer is the same: a line of JSON with `size`, then the bytes.
 */
import { webcrypto } from 'node:crypto';
import { stdin, stdout } from 'node:process';
import { readGolden } from '../src/bundle/golden_file.ts';
import { readLabels } from '../src/bundle/labels.ts';
import { readManifest, type PreprocessingRule, type UnknownRule } from '../src/bundle/manifest.ts';
import { asProblem } from '../src/bundle/problem.ts';
import { libraryVerify, nativeVerify, checkSignature, readPublicKey } from '../src/bundle/signature.ts';
import { parseStrict } from '../src/bundle/strict_json.ts';
import { fusedAnswer, type Known } from '../src/gallery/answering.ts';
import { bestHits, fuse } from '../src/gallery/fusion.ts';
import { GallerySearch, readVectors } from '../src/gallery/gallery.ts';
import { readGalleryManifest, type GalleryManifest, type GalleryRule } from '../src/gallery/manifest.ts';
import { PlainDots, WasmDots, type Dots } from '../src/gallery/search.ts';
import { quantise, unit } from '../src/gallery/vectors.ts';
import { answer, type Answer } from '../src/recognition/calibration.ts';
import { readPictureFile } from '../src/recognition/picture_file.ts';
import { PlainPasses, WasmPasses, type Passes } from '../src/recognition/passes.ts';
import { pixelsSource, Preprocessor, scaledDecodeDivisor } from '../src/recognition/preprocess.ts';

// Node 18 has WebCrypto, but not under its global name.
globalThis.crypto ??= webcrypto as Crypto;

type Bytes = Uint8Array<ArrayBuffer>;

interface Asked {
  readonly tool: string;
  readonly size: number;
  readonly [option: string]: unknown;
}

interface Told {
  readonly facts?: unknown;
  readonly bytes?: Uint8Array;
}

/** The two ways to resize; where none is named, the one that the app takes. */
const PASSES: Record<string, () => Passes> = {
  plain: () => new PlainPasses(),
  wasm: () => {
    const passes = WasmPasses.make();
    if (passes === null) throw new Error('no WebAssembly SIMD');
    return passes;
  },
};

/** The two ways to search. */
const DOTS: Record<string, (codes: Int8Array, dimensions: number) => Dots> = {
  plain: (codes, dimensions) => new PlainDots(codes, dimensions),
  wasm: (codes, dimensions) => {
    const dots = WasmDots.make(codes, dimensions);
    if (dots === null) throw new Error('no WebAssembly SIMD');
    return dots;
  },
};

const TOOLS: Record<string, (asked: Asked, data: Bytes) => Promise<Told> | Told> = {
  tensor: async (asked, data) => {
    const rule = ruleOf(Number(asked['input_px']));
    const [width, height] = [Number(asked['width']), Number(asked['height'])];
    const source = pixelsSource(data, width, height, Number(asked['orientation']));
    return { bytes: await new Preprocessor(rule, PASSES[String(asked['passes'])]?.()).tensor(source) };
  },
  divisor: (asked) => {
    const rule = { ...ruleOf(1), scaled_decode: { min_short_px: Number(asked['min_short_px']) } };
    return { facts: scaledDecodeDivisor(Number(asked['width']), Number(asked['height']), rule) };
  },
  manifest: (_asked, data) => ({ facts: readManifest(data) }),
  json: (asked, data) => ({ facts: parseStrict(data, 'failed', asked['canonical'] === true) }),
  labels: (asked, data) => ({ facts: readLabels(data, Number(asked['count'])) }),
  golden: (_asked, data) => {
    const golden = readGolden(data);
    const facts = Array.from(golden, ([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const parts = Array.from(golden.values(), ({ data: d }) =>
      Buffer.from(d.buffer, d.byteOffset, d.byteLength),
    );
    return { facts, bytes: Buffer.concat(parts) };
  },
  picture: (_asked, data) => {
    const { type, width, height, orientation, parts } = readPictureFile(data);
    return { facts: { type, width, height, orientation }, bytes: Buffer.concat(parts) };
  },
  signature: async (asked, data) => {
    const key = String(asked['key']);
    const file = Buffer.from(String(asked['signature']), 'latin1');
    const signed = await checkSignature(data, file, [key]);
    return { facts: signed };
  },
  signatures: async (asked, data) => {
    const key = readPublicKey(String(asked['key']));
    const raw = new Uint8Array(Buffer.from(String(asked['raw']), 'base64'));
    return { facts: [await nativeVerify(key, raw, data), await libraryVerify(key, raw, data)] };
  },
  galleryManifest: (_asked, data) => ({ facts: readGalleryManifest(data) }),
  /** Data: the embedding, then the centre where there is one; gives codes, then the scale. */
  galleryQuery: (asked, data) => {
    const [embedding, centre] = halves(data, asked['centred'] === true);
    const direction = unit(embedding, centre);
    const query = direction === null ? null : quantise(direction);
    if (query === null) return { facts: null };
    return { facts: query.scale, bytes: new Uint8Array(query.codes.buffer) };
  },
  /** Data: vectors.bin, then centre.bin, then the embedding; gives each product's cosine. */
  galleryCosines: (asked, data) => {
    const manifest = asked['manifest'] as GalleryManifest;
    const size = Number(asked['vectors_size']);
    const floats = data.subarray(size);
    const [centre, embedding] = [floats.subarray(0, -4 * manifest.dimensions), floats.slice(-4 * manifest.dimensions)];
    const vectors = readVectors(manifest, data.subarray(0, size), centre);
    const search = new GallerySearch(vectors, DOTS[String(asked['dots'])]);
    const cosines = search.productCosines(new Float32Array(embedding.buffer));
    return { facts: cosines !== null, bytes: new Uint8Array(cosines?.buffer ?? new ArrayBuffer()) };
  },
  /** Data: each product's cosine. */
  fuse: (asked, data) => {
    const cosines = new Float64Array(data.buffer);
    const hits = bestHits(cosines, Number(asked['top']));
    const named = asked['named'] as number | 'elsewhere' | null;
    return { facts: { by: fuse(named, cosines, hits, asked['rule'] as GalleryRule), hits } };
  },
  /** The same from the classifier's answer, as the page sees it. */
  fusedAnswer: (asked, data) => ({
    facts: fusedAnswer(asked['known'] as Known, asked['answer'] as Answer, new Float64Array(data.buffer)),
  }),
  answer: (asked, data) => {
    const logits = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    const rule = { temperature: Number(asked['temperature']), unknown: asked['unknown'] as UnknownRule };
    return { facts: answer(logits, rule) };
  },
};

/** float32 numbers; the second half where there is one. */
function halves(data: Bytes, two: boolean): [Float32Array, Float32Array | null] {
  const all = new Float32Array(data.buffer);
  return two ? [all.slice(0, all.length / 2), all.slice(all.length / 2)] : [all, null];
}

function ruleOf(inputPx: number): PreprocessingRule {
  return {
    color: 'srgb8',
    orientation: 'exif-upright',
    alpha: 'over-white',
    crop: { kind: 'center-square' },
    resize: { algorithm: 'triangle-int22', width_px: inputPx, height_px: inputPx },
    scaled_decode: null,
  };
}

async function tell(asked: Asked, data: Bytes): Promise<void> {
  let told: Told;
  try {
    const tool = TOOLS[asked.tool];
    if (tool === undefined) throw new Error(`no tool ${asked.tool}`);
    told = await tool(asked, data);
  } catch (error) {
    const { code, detail } = asProblem(error);
    told = { facts: { code, detail } };
  }
  const bytes = told.bytes ?? new Uint8Array();
  stdout.write(`${JSON.stringify({ facts: told.facts ?? null, size: bytes.length })}\n`);
  stdout.write(bytes);
}

let pieces: Buffer[] = [];
let [held, wanted] = [0, 1];
for await (const piece of stdin) {
  pieces.push(piece as Buffer);
  held += (piece as Buffer).length;
  // Joining on every piece of a large picture would copy it hundreds of times.
  if (held < wanted) continue;
  let buffered = Buffer.concat(pieces);
  for (;;) {
    const line = buffered.indexOf(10);
    const asked = line < 0 ? null : (JSON.parse(buffered.subarray(0, line).toString()) as Asked);
    wanted = asked === null ? buffered.length + 1 : line + 1 + asked.size;
    if (asked === null || buffered.length < wanted) break;
    // A copy, so that a view of other element sizes starts at a fitting address.
    await tell(asked, new Uint8Array(buffered.subarray(line + 1, wanted)));
    buffered = buffered.subarray(wanted);
  }
  [pieces, held] = [[buffered], buffered.length];
}

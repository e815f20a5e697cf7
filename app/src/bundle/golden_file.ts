/**
 * golden.npz: a few inputs and the outputs that every runtime must give for them.
 *
 * The .npz is read and not its JSON twin because it is smaller on the way (no base64). Only what
 * `promolens_runtime.golden` writes is understood: a zip of stored .npy files of version 1.0.
 */
import { Problem } from './problem.ts';

export interface GoldenTensor {
  readonly dtype: 'uint8' | 'float32';
  /** The first number counts the vectors. */
  readonly shape: readonly number[];
  readonly data: Uint8Array | Float32Array;
}

export type Golden = ReadonlyMap<string, GoldenTensor>;

const MAX_TENSORS = 16;
const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;
const NPY_HEADER =
  /^\{'descr': '(\|u1|<f4)', 'fortran_order': False, 'shape': \(((?:\d{1,9}, ?)*(?:\d{1,9})?)\), \} *\n$/;

/** Read golden.npz. Throws Problem. */
export function readGolden(file: Uint8Array): Golden {
  try {
    const golden = new Map<string, GoldenTensor>();
    for (const [name, content] of storedMembers(file)) {
      if (!/^[A-Za-z_]\w*\.npy$/.test(name) || golden.has(name)) refuse(`a member ${name}`);
      golden.set(name.slice(0, -4), readNpy(content));
    }
    const counts = new Set(Array.from(golden.values(), (tensor) => tensor.shape[0]));
    if (counts.size !== 1 || [...counts][0] === 0) refuse('another count for each tensor');
    return golden;
  } catch (error) {
    throw new Problem('golden-damaged', error instanceof Error ? error.message : String(error));
  }
}

function* storedMembers(file: Uint8Array): Generator<[string, Uint8Array]> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = file.length - 22;
  if (view.getUint32(end, true) !== END_OF_DIRECTORY) refuse('no zip directory at the end');
  const count = view.getUint16(end + 10, true);
  if (count > MAX_TENSORS) refuse(`${count} members`);
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i += 1) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) refuse('a damaged zip directory');
    const method = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 24, true);
    const nameSize = view.getUint16(at + 28, true);
    const extra = view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    const name = new TextDecoder().decode(file.subarray(at + 46, at + 46 + nameSize));
    const local = view.getUint32(at + 42, true);
    if (method !== 0 || view.getUint32(local, true) !== LOCAL_ENTRY) refuse('a compressed member');
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + size > file.length) refuse('a member beyond the end');
    yield [name, file.subarray(start, start + size)];
    at += 46 + nameSize + extra;
  }
}

function readNpy(content: Uint8Array): GoldenTensor {
  const magic = String.fromCharCode(...content.subarray(0, 8));
  if (magic !== '\x93NUMPY\x01\x00') refuse('another .npy version than 1.0');
  const headerEnd = 10 + (content[8] ?? 0) + 256 * (content[9] ?? 0);
  const header = NPY_HEADER.exec(String.fromCharCode(...content.subarray(10, headerEnd)));
  if (header === null) return refuse('a .npy header of another form');
  const shape = (header[2] ?? '').split(',').map((side) => side.trim()).filter(Boolean).map(Number);
  const dtype = header[1] === '<f4' ? 'float32' : 'uint8';
  // A copy starts at an address that a Float32Array accepts.
  const bytes = content.slice(headerEnd);
  const size = shape.reduce((product, side) => product * side, dtype === 'float32' ? 4 : 1);
  if (shape.length === 0 || size !== bytes.length) refuse(`${bytes.length} bytes for ${shape}`);
  return { dtype, shape, data: dtype === 'float32' ? new Float32Array(bytes.buffer) : bytes };
}

function refuse(received: string): never {
  throw new Error(`Expected golden vectors in an .npz of stored arrays. Received ${received}.`);
}

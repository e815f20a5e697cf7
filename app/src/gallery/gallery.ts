/** A gallery whose signature, manifest and files were checked, and how it is searched. */
import type { Bytes, ReadFile } from '../bundle/download.ts';
import { checkFile } from '../bundle/hashes.ts';
import { readLabels, type Label } from '../bundle/labels.ts';
import { MANIFEST_FILE, outputOf, type Manifest } from '../bundle/manifest.ts';
import { Problem } from '../bundle/problem.ts';
import { checkSignature } from '../bundle/signature.ts';
import { readSignatureFile } from '../bundle/verified.ts';
import {
  CENTRE_FILE,
  DELEGATED_KEY,
  PRODUCTS_FILE,
  readGalleryManifest,
  VECTORS_FILE,
  type GalleryManifest,
} from './manifest.ts';
import { bestDots, type Dots } from './search.ts';
import { quantise, STEPS, unit } from './vectors.ts';

const MIB = 1024 * 1024;
const MAX_MANIFEST_BYTES = MIB;
/** More than a phone should hold in memory for this. */
const MAX_BYTES: Readonly<Record<string, number>> = {
  [VECTORS_FILE]: 64 * MIB,
  [PRODUCTS_FILE]: 16 * MIB,
  [CENTRE_FILE]: MIB,
};

export interface SignedGallery {
  readonly manifest: GalleryManifest;
  readonly manifestBytes: Bytes;
  readonly signatureBytes: Bytes;
}

export interface VerifiedGallery extends SignedGallery {
  readonly products: readonly Label[];
  readonly search: GallerySearch;
  readonly files: ReadonlyMap<string, Bytes>;
}

/** What vectors.bin and centre.bin hold. */
export interface GalleryVectors {
  readonly dimensions: number;
  /** int8 `[count, dimensions]`. */
  readonly codes: Int8Array;
  readonly scales: Float32Array;
  /** Place of each vector's product, rising. */
  readonly owners: Uint32Array;
  readonly centre: Float32Array | null;
}

/** Read manifest.json and check that the bundle vouches for who signed it. Throws Problem. */
export async function readSignedGallery(read: ReadFile, bundle: Manifest): Promise<SignedGallery> {
  const key = bundle.delegated_keys[DELEGATED_KEY] ?? null;
  if (key === null) throw new Problem('signature-wrong', 'The bundle delegates no gallery key.');
  const manifestBytes = await read(MANIFEST_FILE, MAX_MANIFEST_BYTES);
  const signatureBytes = await readSignatureFile(read);
  await checkSignature(manifestBytes, signatureBytes, [key]);
  return { manifest: readGalleryManifest(manifestBytes), manifestBytes, signatureBytes };
}

/** Throws Problem unless `manifest` is of the model of this bundle that the app runs. */
export function checkFits(manifest: GalleryManifest, bundle: Manifest): void {
  const model = bundle.models.find(({ role }) => role === manifest.role);
  const sha256 = model === undefined ? undefined : bundle.files[model.file]?.sha256;
  if (model === undefined || sha256 !== manifest.model_sha256) {
    throw new Problem(
      'gallery-of-another-model',
      `Expected a gallery of ${sha256}. Received one of ${manifest.model_sha256}.`,
    );
  }
  if (outputOf(model, 'embedding').shape.at(-1) !== manifest.dimensions) {
    throw damaged(`vectors as long as the model's embedding`);
  }
}

/** Read and check its files, each exactly once. Throws Problem. */
export async function readGalleryFiles(signed: SignedGallery, read: ReadFile): Promise<VerifiedGallery> {
  const { manifest } = signed;
  const files = new Map<string, Bytes>();
  for (const [name, entry] of Object.entries(manifest.files)) {
    const limit = MAX_BYTES[name] ?? 0;
    if (entry.size_bytes > limit) {
      throw new Problem('download-too-large', `${name}: ${entry.size_bytes} bytes, at most ${limit}`);
    }
    const data = await read(name, entry.size_bytes);
    await checkFile(name, data, entry);
    files.set(name, data);
  }
  const products = readLabels(files.get(PRODUCTS_FILE) as Bytes, manifest.products);
  const vectors = readVectors(manifest, files.get(VECTORS_FILE) as Bytes, files.get(CENTRE_FILE));
  return { ...signed, products, search: new GallerySearch(vectors), files };
}

/** Searches a gallery's vectors; keeps a copy of the codes where it searches fastest. */
export class GallerySearch {
  private readonly dots: Dots;
  private readonly scales: Float32Array;
  private readonly owners: Uint32Array;
  private readonly centre: Float32Array | null;
  private readonly products: number;

  constructor(
    { codes, dimensions, scales, owners, centre }: GalleryVectors,
    make: (codes: Int8Array, dimensions: number) => Dots = bestDots,
  ) {
    this.dots = make(codes, dimensions);
    [this.scales, this.owners, this.centre] = [scales, owners, centre];
    this.products = (owners.at(-1) ?? -1) + 1;
  }

  /**
   * Each product's best cosine with an embedding as the model gives it; null for one that points
   * nowhere (a picture of one colour).
   */
  productCosines(embedding: ArrayLike<number>): Float64Array | null {
    const direction = unit(embedding, this.centre);
    const query = direction === null ? null : quantise(direction);
    if (query === null) return null;
    const dots = this.dots.of(query.codes);
    const best = new Float64Array(this.products).fill(-Infinity);
    for (let i = 0; i < dots.length; i += 1) {
      const cosine = dots[i]! * (this.scales[i]! * query.scale);
      const owner = this.owners[i]!;
      if (cosine > best[owner]!) best[owner] = cosine;
    }
    return best;
  }
}

/** Throws Problem where the numbers do not fit the manifest or are no sound vectors. */
export function readVectors(
  { count, dimensions, products, centred }: GalleryManifest,
  data: Bytes,
  centreData: Bytes | undefined,
): GalleryVectors {
  const scalesAt = Math.ceil((count * dimensions) / 4) * 4;
  if (data.length !== scalesAt + 8 * count) throw damaged(`${scalesAt + 8 * count} bytes of vectors`);
  // A copy starts at an address that wider numbers accept; phones are little-endian, as the file is.
  const bytes = data.slice().buffer;
  const codes = new Int8Array(bytes, 0, count * dimensions);
  const scales = new Float32Array(bytes, scalesAt, count);
  const owners = new Uint32Array(bytes, scalesAt + 4 * count, count);
  const padding = data.subarray(count * dimensions, scalesAt);
  const sound = scales.every((scale) => scale > 0 && scale < Infinity);
  if (!sound || codes.some((code) => code < -STEPS) || padding.some((byte) => byte !== 0)) {
    throw damaged('codes from -127 to 127 and finite scales above 0');
  }
  if (!owners.every(isInOrder) || owners.at(-1) !== products - 1) {
    throw damaged(`vectors of each of ${products} products, in their order`);
  }
  return { dimensions, codes, scales, owners, centre: centred ? readCentre(centreData, dimensions) : null };
}

/** A vector belongs to the product of the one before, or to the next; the first to the first. */
function isInOrder(owner: number, i: number, owners: Uint32Array): boolean {
  if (i === 0) return owner === 0;
  return owner === owners[i - 1]! || owner === owners[i - 1]! + 1;
}

function readCentre(data: Bytes | undefined, dimensions: number): Float32Array {
  if (data?.length !== 4 * dimensions) throw damaged(`a centre of ${dimensions} numbers`);
  const centre = new Float32Array(data.slice().buffer);
  if (!centre.every(Number.isFinite)) throw damaged('a centre of finite numbers');
  return centre;
}

function damaged(expected: string): Problem {
  return new Problem('gallery-damaged', `Expected a gallery with ${expected}. Received another.`);
}

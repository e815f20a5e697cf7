/** A gallery's manifest.json, checked by the rules of `promolens_runtime.gallery.manifest`. */
import type { FileEntry } from '../bundle/manifest.ts';
import { Problem } from '../bundle/problem.ts';
import { isObject, parseStrict, type Json, type JsonObject } from '../bundle/strict_json.ts';

export const VECTORS_FILE = 'vectors.bin';
export const PRODUCTS_FILE = 'products.json';
export const CENTRE_FILE = 'centre.bin';
/** The name under which a bundle's manifest delegates the key of its galleries. */
export const DELEGATED_KEY = 'gallery';
const KNOWN_MAJOR = '1';
const MAX_DIMENSIONS = 4096;
const MAX_VECTORS = 200_000;

/** When the best product of a gallery is an answer; cosines lie in -1..1. */
export interface GalleryRule {
  readonly accept_at_least: number;
  readonly margin_at_least: number;
  /** The lead over the classifier's own product from which its known answer gives way. */
  readonly override_margin: number;
}

export interface GalleryManifest {
  readonly gallery_id: string;
  readonly version: number;
  readonly model_sha256: string;
  readonly role: 'embedder' | 'classifier';
  readonly dimensions: number;
  /** How many vectors; `products` of products. */
  readonly count: number;
  readonly products: number;
  readonly centred: boolean;
  readonly answer: GalleryRule;
  readonly files: Readonly<Record<string, FileEntry>>;
}

type Check = (value: Json | undefined, manifest: JsonObject) => boolean;

const CHECKS: readonly (readonly [string, Check])[] = [
  ['gallery_id', matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)],
  ['version', whole(1, Number.MAX_SAFE_INTEGER)],
  ['model_sha256', matches(/^[0-9a-f]{64}$/)],
  ['role', (value) => value === 'embedder' || value === 'classifier'],
  ['dimensions', whole(1, MAX_DIMENSIONS)],
  ['count', whole(1, MAX_VECTORS)],
  ['products', whole(1, MAX_VECTORS)],
  ['centred', (value) => typeof value === 'boolean'],
  ['signing_key', (value) => value === null || matches(/^ed25519:[A-Za-z0-9+/]{43}=$/)(value)],
  ['answer', isRule],
  ['files', (value, { centred }) => areFiles(value, centred === true)],
];

/**
 * In canonical JSON a whole number that is spelled as a float is another value to Python. A text
 * cannot look like this, since its quotes are escaped.
 */
const FLOAT_FOR_WHOLE =
  /"(?:version|dimensions|count|products|n_known|n_unknown|size_bytes)":-?[0-9]+(?:\.|e)/;

/** Read the bytes of manifest.json, whose signature was checked before. Throws Problem. */
export function readGalleryManifest(data: Uint8Array): GalleryManifest {
  const value = parseStrict(data, 'manifest-damaged', true);
  if (!isObject(value) || value['kind'] !== 'gallery') throw invalid('kind', value);
  const version = value['format_version'];
  if (typeof version !== 'string' || version.split('.')[0] !== KNOWN_MAJOR) {
    const detail = `Expected a gallery of format ${KNOWN_MAJOR}.x. Received ${short(version)}.`;
    throw new Problem('manifest-version-unknown', detail);
  }
  for (const [name, isFine] of CHECKS) {
    if (!isFine(value[name], value)) throw invalid(name, value[name]);
  }
  const float = FLOAT_FOR_WHOLE.exec(new TextDecoder().decode(data));
  if (float !== null) throw invalid('whole numbers', float[0]);
  return value as unknown as GalleryManifest;
}

function isRule(value: Json | undefined): boolean {
  if (!isObject(value)) return false;
  const { accept_at_least: accept, margin_at_least: margin, override_margin: override } = value;
  const { true_accept_rate: right, false_accept_rate: wrong, n_known: known, n_unknown: unknown } = value;
  return (
    [accept, margin, override].every(within(-2, 2)) &&
    [right, wrong].every((rate) => rate === null || within(0, 1)(rate)) &&
    [known, unknown].every(whole(0, Number.MAX_SAFE_INTEGER))
  );
}

function areFiles(value: Json | undefined, centred: boolean): boolean {
  const expected = [PRODUCTS_FILE, VECTORS_FILE, ...(centred ? [CENTRE_FILE] : [])];
  return (
    isObject(value) &&
    String(Object.keys(value).sort()) === String(expected.sort()) &&
    Object.values(value).every(
      (entry) =>
        isObject(entry) &&
        matches(/^[0-9a-f]{64}$/)(entry['sha256']) &&
        whole(1, 2 ** 30)(entry['size_bytes']),
    )
  );
}

function whole(low: number, high: number): (value: Json | undefined) => boolean {
  return (value) => Number.isInteger(value) && within(low, high)(value);
}

function within(low: number, high: number): (value: Json | undefined) => boolean {
  return (value) => typeof value === 'number' && low <= value && value <= high;
}

function matches(pattern: RegExp): (value: Json | undefined) => boolean {
  return (value) => typeof value === 'string' && pattern.test(value);
}

function invalid(name: string, value: Json | undefined): Problem {
  return new Problem(
    'manifest-invalid',
    `Expected the gallery's manifest.json with a sound ${name}. Received ${short(value)}.`,
  );
}

function short(value: Json | undefined): string {
  return String(JSON.stringify(value)).slice(0, 80);
}

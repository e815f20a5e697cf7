/** manifest.json: the only thing that the app trusts about a bundle, in the file's own names. */
import schema from '../../../runtime/promolens_runtime/schemas/manifest.schema.json' with { type: 'json' };
import { Problem } from './problem.ts';
import { schemaProblems } from './schema.ts';
import { isObject, parseStrict, type Json, type JsonObject } from './strict_json.ts';

export const MANIFEST_FILE = 'manifest.json';
export const SIGNATURE_FILE = 'manifest.sig';
export const KNOWN_MAJOR = '1';

export interface FileEntry {
  readonly sha256: string;
  readonly size_bytes: number;
}

export interface TensorSpec {
  readonly name: string;
  readonly dtype: 'uint8' | 'float32';
  readonly shape: readonly number[];
  readonly scale?: number;
  readonly zero_point?: number;
}

export interface ModelEntry {
  readonly role: string;
  readonly file: string;
  readonly signature: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly golden_file: string;
  readonly labels_file: string | null;
}

export interface PreprocessingRule {
  readonly color: string;
  readonly orientation: string;
  readonly alpha: string;
  readonly crop: { readonly kind: string };
  readonly resize: {
    readonly algorithm: string;
    readonly width_px: number;
    readonly height_px: number;
  };
  readonly scaled_decode: { readonly min_short_px: number } | null;
}

/** An answer is known when the score of its raw logits is at least `accept_at_least`. */
export interface UnknownRule {
  readonly score: 'max_logit' | 'energy';
  readonly accept_at_least: number;
}

export interface Manifest {
  readonly format_version: string;
  readonly bundle_id: string;
  readonly version: number;
  readonly minimum_app_version: string;
  readonly files: Readonly<Record<string, FileEntry>>;
  readonly models: readonly ModelEntry[];
  readonly preprocessing: PreprocessingRule;
  readonly temperature: number;
  readonly unknown: UnknownRule;
  readonly golden: { readonly logits_tolerance: number; readonly embedding_tolerance: number };
  readonly delegated_keys: Readonly<Record<string, string | null>>;
}

/** What each role's model must answer; a role that is not here is refused. */
const ROLE_OUTPUTS = new Map<string, readonly string[]>([
  ['classifier', ['logits', 'embedding']],
  ['embedder', ['embedding']],
  ['pair_verifier', []],
  ['detector', []],
]);

/** Read the bytes of manifest.json, whose signature was checked before. Throws Problem. */
export function readManifest(data: Uint8Array): Manifest {
  const value = parseStrict(data, 'manifest-damaged', true);
  checkMajor(value);
  const problems = schemaProblems(value, schema as unknown as JsonObject);
  if (problems[0] !== undefined) throw new Problem('manifest-invalid', problems[0]);
  const manifest = value as unknown as Manifest;
  for (const entry of manifest.models) checkModel(entry, manifest);
  checkPreprocessing(manifest.preprocessing);
  const names = Object.keys(manifest.files);
  if (new Set(names.map((name) => name.toLowerCase())).size !== names.length) {
    throw new Problem('manifest-invalid', 'Expected file names that differ by more than case.');
  }
  return manifest;
}

/** The first model of that role. Throws Problem when the bundle has none. */
export function modelOf(manifest: Manifest, role: string): ModelEntry {
  const entry = manifest.models.find((model) => model.role === role);
  if (entry !== undefined) return entry;
  throw new Problem('manifest-invalid', `Expected a bundle with a ${role}. Received none.`);
}

/** The output called `name`. Throws Problem when there is none. */
export function outputOf(entry: ModelEntry, name: string): TensorSpec {
  const spec = entry.outputs.find((output) => output.name === name);
  if (spec !== undefined) return spec;
  throw new Problem('manifest-invalid', `Expected an output called ${name}. Received none.`);
}

function checkMajor(value: Json): void {
  const version = isObject(value) ? value['format_version'] : undefined;
  if (typeof version !== 'string' || version.split('.')[0] !== KNOWN_MAJOR) {
    throw new Problem(
      'manifest-version-unknown',
      `Expected a manifest of format ${KNOWN_MAJOR}.x. Received ${JSON.stringify(version)}.`,
    );
  }
}

function checkModel(entry: ModelEntry, manifest: Manifest): void {
  const wanted = ROLE_OUTPUTS.get(entry.role);
  if (wanted === undefined) {
    throw new Problem('model-role-unknown', `Received the model role ${JSON.stringify(entry.role)}.`);
  }
  const names = [...entry.inputs, ...entry.outputs].map((spec) => spec.name);
  const outputs = new Set(entry.outputs.map((spec) => spec.name));
  if (wanted.some((name) => !outputs.has(name)) || new Set(names).size !== names.length) {
    throw new Problem('manifest-invalid', `Received a ${entry.role} with tensors ${names.join(', ')}.`);
  }
  if (entry.role === 'classifier' && entry.labels_file === null) {
    throw new Problem('manifest-invalid', 'Expected a classifier with a labels_file. Received null.');
  }
  for (const name of [entry.file, entry.labels_file, entry.golden_file]) {
    if (name !== null && !Object.hasOwn(manifest.files, name)) {
      throw new Problem('manifest-invalid', `Expected ${name} under files. Received none.`);
    }
  }
}

function checkPreprocessing(rule: PreprocessingRule): void {
  const { width_px: width, height_px: height } = rule.resize;
  const names = [rule.color, rule.orientation, rule.alpha, rule.crop.kind, rule.resize.algorithm];
  const known = ['srgb8', 'exif-upright', 'over-white', 'center-square', 'triangle-int22'];
  const unknown = names.filter((name, i) => name !== known[i]);
  if (unknown.length > 0) {
    throw new Problem('preprocessing-unknown', `Received the rule ${JSON.stringify(unknown[0])}.`);
  }
  const least = rule.scaled_decode?.min_short_px ?? Infinity;
  if (width !== height || least < 2 * width) {
    throw new Problem('preprocessing-unknown', `Received ${width} x ${height} px, at least ${least}.`);
  }
}

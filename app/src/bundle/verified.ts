/** A bundle whose signature, manifest and files were checked; nothing of it has been run yet. */
import type { Bytes, ReadFile } from './download.ts';
import { readGolden, type Golden } from './golden_file.ts';
import { checkFile } from './hashes.ts';
import { readLabels, type Label } from './labels.ts';
import {
  MANIFEST_FILE,
  SIGNATURE_FILE,
  modelOf,
  outputOf,
  readManifest,
  type Manifest,
  type ModelEntry,
} from './manifest.ts';
import { asProblem, Problem } from './problem.ts';
import { checkSignature } from './signature.ts';
import { checkAppVersion } from './versions.ts';

const MIB = 1024 * 1024;
const MAX_MANIFEST_BYTES = 8 * MIB;
const MAX_SIGNATURE_BYTES = 256;
const MAX_BYTES: Readonly<Record<string, number>> = { tflite: 128 * MIB, npz: 64 * MIB, json: 16 * MIB };

export interface Trust {
  /** `ed25519:<base64>`, pinned when the app was built; more than one while keys change. */
  readonly publicKeys: readonly string[];
  readonly appVersion: string;
}

export interface SignedManifest {
  readonly manifest: Manifest;
  readonly manifestBytes: Bytes;
  readonly signatureBytes: Bytes;
  readonly signedBy: string;
}

export interface VerifiedModel {
  readonly entry: ModelEntry;
  readonly model: Bytes;
  readonly golden: Golden;
}

export interface VerifiedBundle extends SignedManifest {
  readonly classifier: VerifiedModel;
  /** null where the classifier's own embedding is all there is. */
  readonly embedder: VerifiedModel | null;
  readonly labels: readonly Label[];
  /** The files that this app uses, by name; the others of the bundle were not read. */
  readonly files: ReadonlyMap<string, Bytes>;
}

/** Read manifest.json and check who signed it, before anything in it is used. Throws Problem. */
export async function readSignedManifest(read: ReadFile, trust: Trust): Promise<SignedManifest> {
  const manifestBytes = await read(MANIFEST_FILE, MAX_MANIFEST_BYTES);
  const signatureBytes = await readSignatureFile(read);
  const signedBy = await checkSignature(manifestBytes, signatureBytes, trust.publicKeys);
  const manifest = readManifest(manifestBytes);
  checkAppVersion(manifest, trust.appVersion);
  return { manifest, manifestBytes, signatureBytes, signedBy };
}

/** Read and check the files that recognition needs, each exactly once. Throws Problem. */
export async function readBundleFiles(
  signed: SignedManifest,
  read: ReadFile,
): Promise<VerifiedBundle> {
  const { manifest } = signed;
  const files = new Map<string, Bytes>();
  for (const name of neededFiles(manifest)) {
    const entry = manifest.files[name];
    if (entry === undefined) throw new Problem('manifest-invalid', `${name} is not listed.`);
    const data = await read(name, Math.min(entry.size_bytes, sizeLimit(name)));
    await checkFile(name, data, entry);
    files.set(name, data);
  }
  const classifier = verifiedModel(modelOf(manifest, 'classifier'), files);
  const embedder = embedderOf(manifest);
  const width = outputOf(classifier.entry, 'logits').shape.at(-1) ?? 0;
  return {
    ...signed,
    classifier,
    embedder: embedder === undefined ? null : verifiedModel(embedder, files),
    labels: readLabels(files.get(classifier.entry.labels_file ?? '') as Bytes, width),
    files,
  };
}

function verifiedModel(entry: ModelEntry, files: ReadonlyMap<string, Bytes>): VerifiedModel {
  const golden = readGolden(files.get(entry.golden_file) as Bytes);
  return { entry, model: files.get(entry.file) as Bytes, golden };
}

function embedderOf({ models }: Manifest): ModelEntry | undefined {
  return models.find(({ role }) => role === 'embedder');
}

/** Names of the files that recognition needs, small ones first. */
export function neededFiles(manifest: Manifest): readonly string[] {
  const { labels_file: labels, golden_file: golden, file } = modelOf(manifest, 'classifier');
  const embedder = embedderOf(manifest);
  const more = embedder === undefined ? [] : [embedder.golden_file, embedder.file];
  return [...new Set([labels ?? '', golden, file, ...more])];
}

/** The largest size in bytes that a file of that name may have. */
export function sizeLimit(name: string): number {
  return MAX_BYTES[name.split('.').at(-1) ?? ''] ?? 4 * MIB;
}

/** manifest.sig. Throws Problem, also where there is none. */
export async function readSignatureFile(read: ReadFile): Promise<Bytes> {
  try {
    return await read(SIGNATURE_FILE, MAX_SIGNATURE_BYTES);
  } catch (error) {
    const problem = asProblem(error);
    if (problem.code === 'network-refused') throw new Problem('signature-missing', problem.detail);
    if (problem.code === 'download-too-large') throw new Problem('signature-wrong', problem.detail);
    throw problem;
  }
}

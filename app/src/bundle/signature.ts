/** Ed25519 over the bytes of manifest.json (RFC 8032), with a key that the app brought itself. */
import { verifyAsync } from '@noble/ed25519';
import { decodeBase64 } from './base64.ts';
import { Problem } from './problem.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const PREFIX = 'ed25519:';

/** Return the key of `publicKeys` that signed `message`. Throws Problem when none of them did. */
export async function checkSignature(
  message: Bytes,
  signatureFile: Uint8Array,
  publicKeys: readonly string[],
): Promise<string> {
  const signature = readSignature(signatureFile);
  for (const text of publicKeys) {
    if (await verifies(readPublicKey(text), signature, message)) return text;
  }
  throw new Problem('signature-wrong', 'Expected a manifest signed by a key that this app knows.');
}

/** The 32 bytes of `ed25519:<base64>`. Throws Problem. */
export function readPublicKey(text: string): Bytes {
  const raw = text.startsWith(PREFIX) ? decodeBase64(text.slice(PREFIX.length)) : null;
  if (raw?.length === KEY_BYTES) return raw;
  throw new Problem('signature-wrong', `Expected a public key ${PREFIX}<base64>. Received another.`);
}

function readSignature(file: Uint8Array): Bytes {
  const text = String.fromCharCode(...file.subarray(0, 256));
  const raw = text.endsWith('\n') ? decodeBase64(text.slice(0, -1)) : null;
  if (raw?.length === SIGNATURE_BYTES && text.length === file.length) return raw;
  throw new Problem('signature-wrong', 'Expected manifest.sig to be base64 of 64 bytes and a newline.');
}

async function verifies(key: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  const native = await nativeVerify(key, signature, message);
  return native ?? libraryVerify(key, signature, message);
}

/** WebCrypto's answer; null where this browser has no Ed25519 (Chrome before 137). */
export async function nativeVerify(
  key: Bytes,
  signature: Bytes,
  message: Bytes,
): Promise<boolean | null> {
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey('raw', key, { name: 'Ed25519' }, false, ['verify']);
  } catch {
    return null;
  }
  return crypto.subtle.verify({ name: 'Ed25519' }, imported, signature, message);
}

/** The library's answer, as strict as RFC 8032. */
export async function libraryVerify(
  key: Bytes,
  signature: Bytes,
  message: Bytes,
): Promise<boolean> {
  try {
    return await verifyAsync(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}

/** The bytes that were hashed are the bytes that are used. */
import type { FileEntry } from './manifest.ts';
import { Problem } from './problem.ts';

export async function sha256Hex(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Throws Problem unless `data` has the size and the SHA-256 that the manifest lists. */
export async function checkFile(
  name: string,
  data: Uint8Array<ArrayBuffer>,
  entry: FileEntry,
): Promise<void> {
  if (data.length !== entry.size_bytes) {
    const sizes = `Expected ${name} of ${entry.size_bytes} bytes. Received ${data.length}.`;
    throw new Problem('file-size-wrong', sizes);
  }
  const found = await sha256Hex(data);
  if (found !== entry.sha256) {
    throw new Problem('file-hash-wrong', `Expected ${name} with ${entry.sha256}. Received ${found}.`);
  }
}

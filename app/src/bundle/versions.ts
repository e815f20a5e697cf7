/** Which of two numbered things is newer, and whether this app may open a bundle. */
import type { Manifest } from './manifest.ts';
import { Problem } from './problem.ts';

/** Negative, 0 or positive, as `a` is older than, equal to or newer than `b` ("1.20.3"). */
export function compareAppVersions(a: string, b: string): number {
  const [first, second] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i += 1) {
    const difference = (first?.[i] ?? 0) - (second?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function checkAppVersion(manifest: Manifest, appVersion: string): void {
  if (compareAppVersions(appVersion, manifest.minimum_app_version) >= 0) return;
  throw new Problem(
    'app-too-old',
    `Expected an app of at least ${manifest.minimum_app_version}. This is ${appVersion}.`,
  );
}

/** What this device has had: the line of its bundles and the highest version ever active. */
export interface Mark {
  readonly bundleId: string;
  readonly highestVersion: number;
}

/** Throws Problem when `manifest` would be a step back, or belongs to another line of bundles. */
export function checkSuccession(manifest: Manifest, mark: Mark | null): void {
  if (mark === null) return;
  if (manifest.bundle_id !== mark.bundleId) {
    throw new Problem(
      'bundle-of-another-line',
      `Expected a bundle ${mark.bundleId}. Received ${manifest.bundle_id}.`,
    );
  }
  if (manifest.version < mark.highestVersion) {
    throw new Problem(
      'bundle-older',
      `Expected version ${mark.highestVersion} or newer. Received ${manifest.version}.`,
    );
  }
}

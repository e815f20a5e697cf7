/** Every reason why a bundle, a picture or this browser cannot be used; the page translates them. */
export const PROBLEM_CODES = [
  'network-unreachable',
  'network-refused',
  'network-slow',
  'download-too-large',
  'signature-missing',
  'signature-wrong',
  'manifest-damaged',
  'manifest-version-unknown',
  'manifest-invalid',
  'model-role-unknown',
  'preprocessing-unknown',
  'app-too-old',
  'file-size-wrong',
  'file-hash-wrong',
  'labels-damaged',
  'golden-damaged',
  'golden-differs',
  'model-refused',
  'model-differs',
  'bundle-older',
  'bundle-of-another-line',
  'gallery-damaged',
  'gallery-of-another-model',
  'gallery-of-another-line',
  'gallery-older',
  'storage-full',
  'storage-unavailable',
  'engine-unavailable',
  'accelerator-absent',
  'picture-kind-unknown',
  'picture-too-large',
  'picture-not-supported',
  'picture-damaged',
  'not-open',
  'closed',
  'failed',
] as const;

export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** An error that a person can meet: `code` chooses the text, `detail` is for reports in English. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** Any thrown value as a Problem; what is not one already gets `code`. */
export function asProblem(error: unknown, code: ProblemCode = 'failed'): Problem {
  if (error instanceof Problem) return error;
  const text = error instanceof Error ? error.message || error.name : String(error);
  return new Problem(code, text.replace(/\s+/g, ' ').slice(0, 300));
}

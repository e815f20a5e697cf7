/** What went wrong, in this person's words. */
import type { Problem, ProblemCode } from '../bundle/problem.ts';
import { Trouble } from '../data/trouble.ts';
import type { TextName } from '../texts/ko.ts';

const MODEL_TEXTS: Readonly<Partial<Record<ProblemCode, TextName>>> = {
  'network-unreachable': 'model-network',
  'network-refused': 'model-network',
  'network-slow': 'model-network',
  'signature-missing': 'model-untrusted',
  'signature-wrong': 'model-untrusted',
  'manifest-version-unknown': 'model-app-old',
  'model-role-unknown': 'model-app-old',
  'preprocessing-unknown': 'model-app-old',
  'app-too-old': 'model-app-old',
  'bundle-older': 'model-older',
  'bundle-of-another-line': 'model-older',
  'engine-unavailable': 'model-browser',
  'accelerator-absent': 'model-browser',
  'storage-full': 'storage-full',
  'storage-unavailable': 'storage-unavailable',
  'not-open': 'model-failed',
  closed: 'model-failed',
  failed: 'model-failed',
};

export function wordsOfProblem({ code }: Problem): TextName {
  if (code.startsWith('picture-')) return 'photoFailed';
  return MODEL_TEXTS[code] ?? 'model-broken';
}

const GALLERY_TEXTS: Readonly<Partial<Record<ProblemCode, TextName>>> = {
  'network-unreachable': 'gallery-network',
  'network-refused': 'gallery-network',
  'network-slow': 'gallery-network',
  'signature-missing': 'gallery-untrusted',
  'signature-wrong': 'gallery-untrusted',
  'manifest-version-unknown': 'gallery-app-old',
  'gallery-of-another-model': 'gallery-other-model',
  'gallery-of-another-line': 'gallery-older',
  'gallery-older': 'gallery-older',
  'download-too-large': 'gallery-too-large',
  'storage-full': 'storage-full',
  'storage-unavailable': 'storage-unavailable',
};

export function wordsOfGalleryProblem({ code }: { readonly code: ProblemCode }): TextName {
  return GALLERY_TEXTS[code] ?? 'gallery-broken';
}

export function wordsOfTrouble({ code }: Trouble): TextName {
  return code;
}

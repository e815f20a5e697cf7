/** Why the server, the position or this device's storage gave nothing; the page translates them. */
export const TROUBLE_CODES = [
  'offline',
  'slow',
  'server-down',
  'server-busy',
  'server-refused',
  'server-unreachable',
  'server-garbage',
  'storage-full',
  'storage-unavailable',
  'position-refused',
  'position-unavailable',
  'position-slow',
] as const;

export type TroubleCode = (typeof TROUBLE_CODES)[number];

/** An error that a person can meet: `code` chooses the text, `detail` is for reports in English. */
export class Trouble extends Error {
  override readonly name = 'Trouble';

  constructor(
    readonly code: TroubleCode,
    readonly detail: string,
    /** HTTP status and the server's own code, where it answered. */
    readonly status = 0,
    readonly serverCode = '',
  ) {
    super(`${code}: ${detail}`);
  }
}

export function asTrouble(error: unknown, code: TroubleCode): Trouble {
  if (error instanceof Trouble) return error;
  const text = error instanceof Error ? error.message || error.name : String(error);
  return new Trouble(code, text.replace(/\s+/g, ' ').slice(0, 300));
}

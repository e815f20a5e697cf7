/** Small choices of this person, kept in localStorage; where there is none, until the page closes. */
export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
export type SettingName = 'language' | 'theme' | 'install' | 'accelerator' | 'updated' | 'notify' | 'place' | 'feedback' | 'photos';

const PREFIX = 'promolens.';

export class Settings {
  private readonly memory = new Map<string, string>();

  constructor(private readonly storage: () => Storage = () => localStorage) {}

  get(name: SettingName): string | null {
    try {
      return this.storage().getItem(PREFIX + name) ?? this.memory.get(name) ?? null;
    } catch {
      return this.memory.get(name) ?? null;
    }
  }

  set(name: SettingName, value: string): void {
    this.memory.set(name, value);
    try {
      this.storage().setItem(PREFIX + name, value);
    } catch {
      // A browser that keeps nothing, or a full one: it holds until the page closes.
    }
  }

  get theme(): Theme {
    return THEMES.find((theme) => theme === this.get('theme')) ?? 'auto';
  }

  /** A random text that says which phones get a new bundle first, and nothing about its owner. */
  get installId(): string {
    const kept = this.get('install');
    if (kept !== null && /^[A-Za-z0-9_-]{8,128}$/.test(kept)) return kept;
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const made = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    this.set('install', made);
    return made;
  }
}

/** Everything that pages work with, opened once. */
import type { Config } from './config.ts';
import { Api } from './data/api.ts';
import { Catalogue } from './data/catalogue.ts';
import { Clock } from './data/clock.ts';
import { openTables } from './data/database.ts';
import { Lookup } from './data/lookup.ts';
import { Pictures } from './data/pictures.ts';
import { Saved } from './data/saved.ts';
import { Stores } from './data/stores.ts';
import { Sync, type SyncReport } from './data/sync.ts';
import { MemoryTables, type Tables } from './data/tables.ts';
import { asTrouble, Trouble } from './data/trouble.ts';
import { Feedback } from './feedback/offer.ts';
import { Lens, type LensPlace } from './lens.ts';
import { Listeners } from './listeners.ts';
import { PlaceKeeper } from './position.ts';
import { Settings } from './settings.ts';
import { LANGUAGES, languageOf, Speech } from './texts/texts.ts';
import { Notices } from './ui/notices.ts';

export class App {
  readonly synced = new Listeners<SyncReport | Trouble>();
  readonly notices = new Notices();
  readonly clock: Clock;
  readonly sync: Sync;
  readonly catalogue: Catalogue;
  readonly lookup: Lookup;
  readonly stores: Stores;
  readonly saved: Saved;
  readonly pictures: Pictures;
  readonly lens: Lens;
  readonly places: PlaceKeeper;
  readonly api: Api;
  readonly feedback: Feedback;
  speech: Speech;

  private constructor(
    readonly config: Config,
    readonly settings: Settings,
    readonly tables: Tables,
    readonly appVersion: string,
    lensPlace: LensPlace,
  ) {
    this.clock = new Clock();
    this.api = new Api(config.apiUrl);
    this.feedback = new Feedback(this.api, settings);
    this.sync = new Sync(this.api, tables, this.clock);
    this.catalogue = new Catalogue(tables, this.clock);
    this.lookup = new Lookup(this.api, tables, this.sync, this.clock);
    this.stores = new Stores(this.api, tables, this.clock);
    this.saved = new Saved(tables, this.clock);
    this.pictures = new Pictures(config.picturesUrl, tables, this.clock);
    this.lens = new Lens(lensPlace, config, this.api, settings);
    this.places = new PlaceKeeper(settings);
    this.speech = speechOf(settings);
  }

  /** Never fails: without storage the app works until the page is closed, and says so. */
  static async open(config: Config, settings: Settings, place: LensPlace): Promise<App> {
    let opened: { tables: Tables; renewed: boolean };
    try {
      opened = await openTables();
    } catch {
      opened = { tables: new MemoryTables(), renewed: false };
    }
    const app = new App(config, settings, opened.tables, place.appVersion, place);
    await app.sync.restoreClock().catch(() => undefined);
    if (!opened.tables.lasting) app.notices.tell(app.speech.say('storageNone'));
    if (opened.renewed) app.notices.tell(app.speech.say('storageRenewed'));
    return app;
  }

  /** Bring the copy up to date; tells `synced` what came of it and never throws. */
  async refresh(): Promise<SyncReport | Trouble> {
    let outcome: SyncReport | Trouble;
    try {
      outcome = await this.sync.run();
      if (outcome.outcome !== 'unchanged') this.catalogue.changed();
      if (outcome.outcome === 'replaced') await this.saved.moveTo(await this.catalogue.items());
    } catch (error) {
      outcome = asTrouble(error, 'offline');
      // A copy may have been thrown away before its successor failed to come.
      if ((await this.sync.state().catch(() => null))?.since === null) this.catalogue.changed();
    }
    this.synced.tell(outcome);
    // What comes of it stands in the settings.
    void this.lens.hear(this.sync.announced, this.clock.now()).catch(() => undefined);
    return outcome;
  }

  /** Begin with the file that came with the app, so that there is something before any network. */
  async plantSeed(): Promise<void> {
    const { seed } = this.config;
    if (seed === null || (await this.sync.state()).since !== null) return;
    const file = new Uint8Array(await (await fetch(seed.url)).arrayBuffer());
    await this.sync.seed(file, seed.madeAtMs);
    this.catalogue.changed();
  }

  /** Take up a changed language or theme. */
  restyle(): void {
    this.speech = speechOf(this.settings);
  }
}

export function speechOf(settings: Settings): Speech {
  const chosen = LANGUAGES.find((language) => language === settings.get('language'));
  return new Speech(chosen ?? languageOf(navigator.languages));
}

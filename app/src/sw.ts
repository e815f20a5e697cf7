/** The service worker: the app's own files without a network, and a look at favourites now and then. */
import { readConfig } from './config.ts';
import { Api } from './data/api.ts';
import { Catalogue } from './data/catalogue.ts';
import { Clock } from './data/clock.ts';
import { openTables } from './data/database.ts';
import { Lookup } from './data/lookup.ts';
import { Saved } from './data/saved.ts';
import { Sync } from './data/sync.ts';
import { newsOf, notify, SYNC_TAG } from './notify.ts';
import { languageOf, Speech } from './texts/texts.ts';

/** Of the build: every file of the shell, what they are all together, and folders of what is large. */
declare const SHELL_FILES: readonly string[];
declare const SHELL_VERSION: string;
declare const KEPT_VERSIONS: Readonly<Record<string, string>>;

interface WorkerScope {
  readonly registration: ServiceWorkerRegistration;
  readonly location: Location;
  readonly clients: {
    claim(): Promise<void>;
    openWindow(url: string): Promise<unknown>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: string, listener: (event: never) => void): void;
}

interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface FetchLike extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const scope = self as unknown as WorkerScope;
const SHELL = `shell-${SHELL_VERSION}`;
/** Large things are kept folder by folder, when they are first used: a new one replaces only its own. */
const LARGE = new Map(Object.entries(KEPT_VERSIONS).map(([folder, version]) => [folder, `runtime-${folder.slice(0, -1)}-${version}`]));
const FOLDER = new URL('./', scope.location.href).href;
const CONFIG_PATIENCE_MS = 2_000;

scope.addEventListener('install', (event: Extendable) => event.waitUntil(install()));
scope.addEventListener('activate', (event: Extendable) => event.waitUntil(activate()));
scope.addEventListener('fetch', (event: FetchLike) => {
  const answer = answerTo(event.request);
  if (answer !== null) event.respondWith(answer);
});
scope.addEventListener('message', ({ data }: MessageEvent) => {
  if (data === 'take over') void scope.skipWaiting();
});
scope.addEventListener('periodicsync', (event: Extendable & { tag: string }) => {
  if (event.tag === SYNC_TAG) event.waitUntil(lookForNews());
});
scope.addEventListener('notificationclick', (event: Extendable & { notification: Notification }) => {
  event.notification.close();
  const { hash } = (event.notification.data ?? {}) as { hash?: string };
  event.waitUntil(scope.clients.openWindow(FOLDER + (hash?.startsWith('#/') ? hash : '')));
});

async function install(): Promise<void> {
  const cache = await caches.open(SHELL);
  await cache.addAll(SHELL_FILES.map((file) => new Request(FOLDER + file, { cache: 'no-cache' })));
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    const ours = /^(shell|runtime)-/.test(name);
    if (ours && name !== SHELL && ![...LARGE.values()].includes(name)) await caches.delete(name);
  }
  await scope.clients.claim();
}

/** null for what the browser is to fetch as ever: the API and bundles, which the app keeps itself. */
function answerTo(request: Request): Promise<Response> | null {
  if (request.method !== 'GET' || !request.url.startsWith(FOLDER)) return null;
  const path = request.url.slice(FOLDER.length).split(/[?#]/)[0] ?? '';
  if (request.mode === 'navigate' && (path === '' || path === 'index.html')) return shell(FOLDER + 'index.html');
  if (path === 'config.json') return configured(request);
  if (SHELL_FILES.some((file) => file.split('?')[0] === path)) return shell(FOLDER + path);
  const large = [...LARGE].find(([folder]) => path.startsWith(folder));
  return large === undefined ? null : kept(request, large[1]);
}

async function shell(url: string): Promise<Response> {
  const cache = await caches.open(SHELL);
  return (await cache.match(url, { ignoreSearch: true })) ?? fetch(url);
}

/** Large and never changed under one version: kept when it is first used. */
async function kept(request: Request, name: string): Promise<Response> {
  const cache = await caches.open(name).catch(() => null);
  const found = await cache?.match(request.url);
  if (found !== undefined) return found;
  const fresh = await fetch(request);
  // A full device still runs what it has just loaded.
  if (fresh.ok) void cache?.put(request.url, fresh.clone()).catch(() => undefined);
  return fresh;
}

async function configured(request: Request): Promise<Response> {
  try {
    const fresh = await fetch(request.url, { cache: 'no-cache', signal: AbortSignal.timeout(CONFIG_PATIENCE_MS) });
    if (fresh.ok) {
      await (await caches.open(SHELL)).put(request.url, fresh.clone()).catch(() => undefined);
      return fresh;
    }
  } catch {
    // Without a network the one of before holds.
  }
  return shell(request.url);
}

async function lookForNews(): Promise<void> {
  const { tables } = await openTables();
  try {
    const told: unknown = await (await configured(new Request(`${FOLDER}config.json`))).json();
    const config = readConfig(told as never, FOLDER);
    const [api, clock] = [new Api(config.apiUrl), new Clock()];
    const sync = new Sync(api, tables, clock);
    const saved = new Saved(tables, clock);
    const { outcome } = await sync.run();
    if (outcome === 'replaced') await saved.moveTo(await new Catalogue(tables, clock).items());
    const news = await newsOf(saved, new Lookup(api, tables, sync, clock));
    await notify(scope.registration, new Speech(languageOf(navigator.languages)), saved, news);
  } finally {
    tables.close();
  }
}

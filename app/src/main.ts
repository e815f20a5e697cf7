/** Starts the app: the shell at once, then data, recogniser and everything else. */
import { App } from './app.ts';
import { readConfig, type Config } from './config.ts';
import { isObject, type Json } from './data/rows.ts';
import { Trouble } from './data/trouble.ts';
import { watchLongTasks } from './long_tasks.ts';
import { newsOf, notify } from './notify.ts';
import { keepInstallPrompt } from './pages/settings.ts';
import { Settings } from './settings.ts';
import { Shell } from './shell.ts';
import { allowOwnScripts } from './trusted_types.ts';

declare const APP_VERSION: string;
declare const PUBLIC_KEYS: readonly string[];

const SYNC_EVERY_MS = 30 * 60_000;
const CONTROL_PATIENCE_MS = 4_000;
const LOAD_AHEAD_MS = 6_000;

async function start(): Promise<void> {
  watchLongTasks();
  allowOwnScripts();
  keepInstallPrompt();
  const controlled = registerWorker();
  const config = await loadConfig();
  const app = await App.open(config, new Settings(), {
    workerUrl: 'recognise.js',
    wasmUrl: new URL('litert/', document.baseURI).href,
    publicKeys: PUBLIC_KEYS,
    appVersion: APP_VERSION,
    // What the recogniser loads is kept by the service worker only if that is there first.
    before: controlled,
  });
  const place = document.getElementById('app');
  if (place === null) throw new Error('index.html has no element for the app');
  new Shell(app, place).start();
  document.documentElement.dataset['ready'] = 'true';
  await app.plantSeed().catch(() => undefined);
  void keepFresh(app);
  improve(app);
  void watchForUpdate(app);
}

async function loadConfig(): Promise<Config> {
  let value: Json = {};
  try {
    const response = await fetch('config.json', { cache: 'no-cache' });
    const told: unknown = await response.json();
    if (response.ok && isObject(told)) value = told;
  } catch {
    // Without it everything has its default.
  }
  return readConfig(value, document.baseURI);
}

/** Resolves when the service worker answers for this page, or soon anyway. */
async function registerWorker(): Promise<void> {
  const { serviceWorker } = navigator;
  if (serviceWorker === undefined) return;
  try {
    await serviceWorker.register('sw.js');
    if (serviceWorker.controller !== null) return;
    await new Promise<void>((resolve) => {
      serviceWorker.addEventListener('controllerchange', () => resolve(), { once: true });
      setTimeout(resolve, CONTROL_PATIENCE_MS);
    });
  } catch (error) {
    console.warn(error);
  }
}

async function keepFresh(app: App): Promise<void> {
  const refresh = async (): Promise<void> => {
    if (document.hidden) return;
    const outcome = await app.refresh();
    if (outcome instanceof Trouble) return;
    if (app.clock.behindDays !== 0) {
      app.notices.tell(app.speech.say('clockWrong', { days: Math.abs(app.clock.behindDays) }));
    }
    await tellNews(app);
  };
  await refresh();
  setInterval(() => void refresh(), SYNC_EVERY_MS);
  addEventListener('online', () => void refresh());
}

async function tellNews(app: App): Promise<void> {
  if (app.settings.get('notify') !== 'on' || !('Notification' in window)) return;
  if (Notification.permission !== 'granted') return;
  const registration = await navigator.serviceWorker?.getRegistration();
  if (registration === undefined) return;
  const news = await newsOf(app.saved, app.lookup).catch(() => []);
  await notify(registration, app.speech, app.saved, news).catch(() => undefined);
}

/**
 * Load the recogniser also for who begins elsewhere, so that it is there without a network; when it is
 * there, look for a newer bundle, then whether WebGPU is faster.
 */
function improve(app: App): void {
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  const ahead = (): void => void app.lens.ready().catch(() => undefined);
  if (connection?.saveData !== true) setTimeout(ahead, LOAD_AHEAD_MS);
  const off = app.lens.changes.on((state) => {
    if (state.kind !== 'ready') return;
    off();
    setTimeout(() => {
      app.lens
        .update(false, app.clock.now())
        .catch((error: unknown) => console.warn(String(error)))
        .then(() => app.lens.updateGallery())
        .then(() => app.lens.tryAccelerator())
        .catch((error: unknown) => console.warn(String(error)));
    }, CONTROL_PATIENCE_MS);
  });
}

async function watchForUpdate(app: App): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  const offer = (): void => {
    const waiting = registration?.waiting;
    if (!waiting || navigator.serviceWorker.controller === null) return;
    app.notices.tell(app.speech.say('updateReady'), {
      label: app.speech.say('updateNow'),
      run: () => {
        navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
        waiting.postMessage('take over');
      },
    });
  };
  registration?.addEventListener('updatefound', () => {
    registration.installing?.addEventListener('statechange', offer);
  });
  offer();
}

void start();

// The page around the recogniser: its script in pieces, static files, icons, and the service worker
// that knows every file of the shell by content.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { writeIcons } from './build_icons.mjs';

// Asked about again at every start, so not part of what is kept under one version.
const ASKED_ANEW = 'config.json';
const SEED = 'seed.jsonl.gz';

/** Build everything of the shell into `out`, where the recogniser lies already. */
export async function buildShell(out, { here, common, configFile, seedFile }) {
  const src = join(here, 'src');
  await build({
    ...common,
    format: 'esm',
    splitting: true,
    entryPoints: { app: join(src, 'main.ts') },
    chunkNames: 'chunks/[name]-[hash]',
    outdir: out,
  });
  await cp(join(here, 'static'), out, { recursive: true });
  if (configFile) await cp(configFile, join(out, ASKED_ANEW));
  if (seedFile) await addSeed(out, seedFile);
  await writeIcons(join(out, 'icons'));
  await cp(join(here, 'node_modules/leaflet/dist/leaflet.css'), join(out, 'leaflet.css'));
  await fillPage(out);
  await buildWorker(out, src, common);
}

/** Ship a bootstrap file with the app, so that the first start shows promotions without any network. */
async function addSeed(out, file) {
  await cp(file, join(out, SEED));
  const path = join(out, ASKED_ANEW);
  const config = JSON.parse(await readFile(path, 'utf8'));
  const seed = { url: SEED, made_at: (await stat(file)).mtime.toISOString() };
  await writeFile(path, `${JSON.stringify({ ...config, seed }, null, 2)}\n`);
}

async function fillPage(out) {
  const page = join(out, 'index.html');
  const config = JSON.parse(await readFile(join(out, ASKED_ANEW), 'utf8'));
  let text = (await readFile(page, 'utf8')).replace('{{csp}}', contentSecurityPolicy(hostsOf(config)));
  for (const name of ['app.js', 'styles.css']) {
    text = text.replace(`"${name}"`, `"${name}?v=${(await hashOf([join(out, name)])).slice(0, 12)}"`);
  }
  await writeFile(page, text);
}

/** Origins that the configuration names: an API elsewhere, map tiles of others. */
export function hostsOf(config) {
  const addresses = [config.api, config.bundle, config.map?.url, config.pictures];
  const absolute = addresses.filter((address) => /^https?:\/\//.test(address ?? ''));
  return [...new Set(absolute.map((address) => new URL(address.replace('{s}', 'a')).origin))];
}

/** As strict as the server's, for where no server sends one; and no HTML out of strings. */
export function contentSecurityPolicy(hosts) {
  const also = hosts.map((host) => ` ${host}`).join('');
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    `img-src 'self' blob: data:${also}`,
    `connect-src 'self'${also}`,
    "manifest-src 'self'",
    "media-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types default',
  ].join('; ');
}

async function buildWorker(out, src, common) {
  const files = (await shellFiles(out)).sort();
  const within = async (folder) => (await readdir(join(out, folder))).map((name) => join(out, folder, name)).sort();
  const version = async (...folders) => (await hashOf((await Promise.all(folders.map(within))).flat())).slice(0, 16);
  const define = {
    ...common.define,
    SHELL_FILES: JSON.stringify(files),
    SHELL_VERSION: JSON.stringify((await hashOf(files.map((name) => join(out, name)))).slice(0, 16)),
    KEPT_VERSIONS: JSON.stringify({
      'litert/': await version('litert'),
      'barcode/': await version('barcode'),
      'maps/': await version('maps'),
    }),
  };
  await build({ ...common, define, format: 'iife', entryPoints: { sw: join(src, 'sw.ts') }, outdir: out });
}

async function shellFiles(out) {
  const names = ['index.html', 'app.js', 'styles.css', 'leaflet.css', 'recognise.js', 'manifest.webmanifest'];
  for (const folder of ['chunks', 'icons']) {
    if (!existsSync(join(out, folder))) continue;
    names.push(...(await readdir(join(out, folder))).map((name) => `${folder}/${name}`));
  }
  return [...names, ASKED_ANEW, 'licences.txt'];
}

async function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(await readFile(path));
  return hash.digest('hex');
}

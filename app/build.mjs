// Builds the app into one folder that any web server or WebView can serve.
//
//     node build.mjs [--out ../android_assets/www] [--page FOLDER] [--no-compression]
//
// --page adds a folder's index.html and page.ts (the tests' own page) under its name.
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, transform } from 'esbuild';
import { buildShell } from './build_shell.mjs';
import { writeTown } from './build_town.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const CACHE = join(HERE, '.cache');
const RUNTIME = join(HERE, 'node_modules/@litertjs/core/wasm');
const BARCODES = join(HERE, 'node_modules/zxing-wasm/dist/reader/zxing_reader.wasm');
// No threaded build: it needs cross-origin isolation and brought nothing (docs/app-recognition.md).
const RUNTIME_BUILDS = ['internal', 'compat_internal', 'jspi_internal'];
const COMPRESSIBLE = /\.(html|js|css|json|svg|wasm|webmanifest|txt)$/;
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_KEY = /^ed25519:[A-Za-z0-9+/]{43}=$/;

/** What a package has in it beside its own code. */
const ALSO = { 'zxing-wasm': '; zxing-cpp within it: Apache-2.0 (https://github.com/zxing-cpp/zxing-cpp)' };

class InputError extends Error {}

async function main() {
  const options = readArguments(process.argv.slice(2));
  const version = JSON.parse(await readFile(join(HERE, 'package.json'), 'utf8')).version;
  const keys = await publicKeys(process.env);
  const out = `${options.out}.building`;
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  await bundleScripts(out, options.page, { version, keys });
  await copyRuntime(join(out, 'litert'));
  await cp(BARCODES, join(out, 'barcode', basename(BARCODES)));
  await writeTown(join(out, 'maps/demo.pmtiles'));
  await writeFile(join(out, 'licences.txt'), await licences());
  await buildShell(out, {
    here: HERE,
    common: common({ version, keys }),
    configFile: process.env.PROMOLENS_APP_CONFIG,
    seedFile: process.env.PROMOLENS_APP_SEED,
  });
  if (options.compression) await compressAll(out);
  await rm(options.out, { recursive: true, force: true });
  await rename(out, options.out);
  if (options.compression) await printSizes(options.out);
}

function readArguments(words) {
  const options = { out: join(HERE, '../android_assets/www'), page: null, compression: true };
  for (let i = 0; i < words.length; i += 1) {
    if (words[i] === '--no-compression') options.compression = false;
    else if (words[i] === '--out' && words[i + 1]) options.out = resolve(words[(i += 1)]);
    else if (words[i] === '--page' && words[i + 1]) options.page = resolve(words[(i += 1)]);
    else throw new InputError(`Expected --out FOLDER, --page FOLDER or --no-compression. Received ${words[i]}.`);
  }
  return options;
}

/** Keys that this build trusts: PROMOLENS_PUBLIC_KEY (several with commas), else the development key's. */
async function publicKeys(environ) {
  const given = (environ.PROMOLENS_PUBLIC_KEY ?? '').split(',').map((key) => key.trim()).filter(Boolean);
  const wrong = given.find((key) => !PUBLIC_KEY.test(key));
  if (wrong) {
    throw new InputError(`Expected PROMOLENS_PUBLIC_KEY like ed25519:<base64>. Received ${wrong.slice(0, 80)}.`);
  }
  if (given.length > 0) return given;
  const file = join(environ.XDG_CONFIG_HOME || join(homedir(), '.config'), 'promolens/development.key');
  if (!existsSync(file)) {
    throw new InputError(
      `Expected a key to check bundles with. Received neither PROMOLENS_PUBLIC_KEY nor ${file}. ` +
        'Make a bundle first (make train export), or set the variable.',
    );
  }
  const secret = Buffer.from((await readFile(file, 'utf8')).trim(), 'base64');
  const der = Buffer.concat([PKCS8_ED25519, secret]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  const raw = Buffer.from(key.export({ format: 'jwk' }).x, 'base64url');
  return [`ed25519:${raw.toString('base64')}`];
}

/** What every script of the app is built with. */
function common({ version, keys }) {
  return {
    bundle: true,
    minify: true,
    sourcemap: false,
    target: ['es2022'],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    define: { APP_VERSION: JSON.stringify(version), PUBLIC_KEYS: JSON.stringify(keys) },
  };
}

async function bundleScripts(out, page, facts) {
  const src = join(HERE, 'src');
  await build({
    ...common(facts),
    // A classic worker: LiteRT.js loads its runtime with importScripts.
    format: 'iife',
    entryPoints: { recognise: join(src, 'recognition/worker.ts') },
    outdir: out,
  });
  await build({
    ...common(facts),
    format: 'iife',
    entryPoints: { read: join(src, 'camera/barcode_worker.ts') },
    outdir: join(out, 'barcode'),
  });
  if (page === null) return;
  const folder = join(out, basename(page));
  await build({ ...common(facts), format: 'esm', entryPoints: { page: join(page, 'page.ts') }, outdir: folder });
  await cp(join(page, 'index.html'), join(folder, 'index.html'));
}

async function copyRuntime(out) {
  await mkdir(out, { recursive: true });
  for (const name of RUNTIME_BUILDS) {
    const glue = await readFile(join(RUNTIME, `litert_wasm_${name}.js`), 'utf8');
    const { code } = await transform(glue, { minify: true, legalComments: 'none', target: 'es2022' });
    await writeFile(join(out, `litert_wasm_${name}.js`), code);
    await cp(join(RUNTIME, `litert_wasm_${name}.wasm`), join(out, `litert_wasm_${name}.wasm`));
  }
}

/** What others wrote and this app ships, with their licences. */
async function licences() {
  const { dependencies } = JSON.parse(await readFile(join(HERE, 'package.json'), 'utf8'));
  const texts = [];
  for (const folder of await shipped(Object.keys(dependencies), HERE)) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? '' : `\n${await readFile(join(folder, file), 'utf8')}`;
    texts.push(`${name} ${version}, ${license}${ALSO[name] ?? ''}\n${text}`);
  }
  return texts.sort().join('\n');
}

/** Folders of these packages and of all that they need in turn. */
async function shipped(names, from, found = new Set()) {
  for (const name of names.filter((one) => !one.startsWith('@types/'))) {
    const folder = [join(from, 'node_modules', name), join(HERE, 'node_modules', name)].find(existsSync);
    if (folder === undefined || found.has(folder)) continue;
    found.add(folder);
    const { dependencies = {} } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    await shipped(Object.keys(dependencies), folder, found);
  }
  return found;
}

async function* filesOf(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesOf(path);
    else yield path;
  }
}

async function compressAll(out) {
  for await (const path of filesOf(out)) {
    if (!COMPRESSIBLE.test(path)) continue;
    const content = await readFile(path);
    await writeFile(`${path}.br`, await cached(content, 'br', brotli));
    await writeFile(`${path}.gz`, await cached(content, 'gz', (data) => promisify(gzip)(data, { level: 9 })));
  }
}

function brotli(data) {
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_LGWIN: window } = constants;
  const { BROTLI_PARAM_SIZE_HINT: hint } = constants;
  return promisify(brotliCompress)(data, { params: { [quality]: 11, [window]: 24, [hint]: data.length } });
}

/** The runtime takes a minute to compress and never changes: keep the answer by content. */
async function cached(content, kind, compress) {
  const name = `${createHash('sha256').update(content).digest('hex')}.${kind}`;
  const file = join(CACHE, name);
  if (existsSync(file)) return readFile(file);
  const compressed = await compress(content);
  await mkdir(CACHE, { recursive: true });
  await writeFile(`${file}.part`, compressed);
  await rename(`${file}.part`, file);
  return compressed;
}

/** What is loaded once the shell or the recogniser is there, and does not count before the first scan. */
const AFTERWARDS = /^(barcode\/|maps\/|seed\.jsonl\.gz$)/;

async function printSizes(out) {
  const files = [];
  for await (const path of filesOf(out)) files.push(path);
  const own = files.map((path) => relative(out, path)).filter((name) => !isCompressed(name, files, out)).sort();
  const [later, sooner] = [own.filter((name) => AFTERWARDS.test(name)), own.filter((name) => !AFTERWARDS.test(name))];
  for (const [title, names] of [['with the app (of litert/, one of three)', sooner], ['loaded afterwards', later]]) {
    console.log(`\n| ${title} | bytes | brotli | gzip |\n| --- | ---: | ---: | ---: |`);
    const rows = await Promise.all(names.map((name) => sizesOf(join(out, name))));
    rows.forEach((row, at) => console.log(`| ${names[at]} | ${row.join(' | ')} |`));
    if (names === later) console.log(`| together | ${[0, 1, 2].map((at) => rows.reduce((sum, row) => sum + row[at], 0)).join(' | ')} |`);
  }
}

function isCompressed(name, files, out) {
  return /\.(br|gz)$/.test(name) && files.includes(join(out, name.slice(0, -3)));
}

/** Bytes as they are, and on the way to who understands brotli or gzip. */
async function sizesOf(path) {
  return Promise.all(['', '.br', '.gz'].map(async (end) => (await stat(existsSync(path + end) ? path + end : path)).size));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 2;
}

// Bundles the unit tests (test/*.test.ts) and the tools that the Python tests talk to, then runs the
// tests with Node's own runner.
//
//     node test.mjs [--tools-only]
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const OUT = join(HERE, '.test');
const tests = readdirSync(join(HERE, 'test')).filter((name) => name.endsWith('.test.ts'));
const toolsOnly = process.argv.includes('--tools-only');

await build({
  entryPoints: [...(toolsOnly ? [] : tests), 'node_tool.ts'].map((name) => join(HERE, 'test', name)),
  outdir: OUT,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node18',
  sourcemap: 'inline',
  logLevel: 'warning',
});
if (!toolsOnly) {
  const files = tests.map((name) => join(OUT, name.replace(/\.ts$/, '.mjs')));
  const done = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], { stdio: 'inherit' });
  process.exitCode = done.status ?? 1;
}

// Assembles the .wat files into _bytes.ts files, which are committed: a build needs no assembler, and a
// unit test says when the two differ.
//
//     npm run resize
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { basename, join } from 'node:path';
import wabt from 'wabt';

const SOURCES = join(fileURLToPath(new URL('.', import.meta.url)), 'src');
const RESIZE = join(SOURCES, 'recognition/resize.wat');
const SEARCH = join(SOURCES, 'gallery/search.wat');

/** The text of resize_bytes.ts. */
export const resizeBytes = () => assembled(RESIZE, 'RESIZE_BYTES');

/** The text of search_bytes.ts. */
export const searchBytes = () => assembled(SEARCH, 'SEARCH_BYTES');

async function assembled(path, constant) {
  const name = basename(path);
  const module = (await wabt()).parseWat(name, await readFile(path, 'utf8'), { simd: true });
  const bytes = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const lines = bytes.match(/.{1,100}/g).map((line) => `  '${line}'`);
  return `/** ${name}, assembled by \`npm run resize\`. */\nexport const ${constant} =\n${lines.join(' +\n')};\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(RESIZE.replace('.wat', '_bytes.ts'), await resizeBytes());
  await writeFile(SEARCH.replace('.wat', '_bytes.ts'), await searchBytes());
}

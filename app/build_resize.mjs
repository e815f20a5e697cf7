// Assembles src/recognition/resize.wat into resize_bytes.ts, which is committed: a build needs no
// assembler, and a unit test says when the two differ.
//
//     npm run resize
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import wabt from 'wabt';

const FOLDER = join(fileURLToPath(new URL('.', import.meta.url)), 'src/recognition');

/** The text of resize_bytes.ts. */
export async function resizeBytes() {
  const text = await readFile(join(FOLDER, 'resize.wat'), 'utf8');
  const module = (await wabt()).parseWat('resize.wat', text, { simd: true });
  const bytes = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const lines = bytes.match(/.{1,100}/g).map((line) => `  '${line}'`);
  return `/** resize.wat, assembled by \`npm run resize\`. */\nexport const RESIZE_BYTES =\n${lines.join(' +\n')};\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(join(FOLDER, 'resize_bytes.ts'), await resizeBytes());
}

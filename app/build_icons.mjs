// The app's icon, drawn from one table of shapes: as SVG, and as PNG for systems that take no SVG.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';

const FIELD = 512;
const GROUND = [194, 65, 12];
const LINE = [255, 250, 244];
const CORNER = 112;
// A lens with a plus in it, as in 1+1. Rings and lines of one width, with round ends.
const WIDTH = 44;
const RING = { x: 230, y: 230, radius: 128 };
const LINES = [
  [326, 326, 400, 400],
  [230, 174, 230, 286],
  [174, 230, 286, 230],
];
const SAMPLES = 4;

/** Write the icons into `folder`. */
export async function writeIcons(folder) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'icon.svg'), svg());
  for (const size of [180, 192, 512]) {
    await writeFile(join(folder, `icon-${size}.png`), png(size, { corner: size === 180 ? 0 : CORNER, scale: 1 }));
  }
  // Systems cut maskable icons into any shape: everything is inside the middle 80 %.
  await writeFile(join(folder, 'maskable-512.png'), png(512, { corner: 0, scale: 0.8 }));
}

function svg() {
  const paths = LINES.map(([x1, y1, x2, y2]) => `M${x1} ${y1}L${x2} ${y2}`).join('');
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${FIELD} ${FIELD}">` +
    `<rect width="${FIELD}" height="${FIELD}" rx="${CORNER}" fill="rgb(${GROUND})"/>` +
    `<g fill="none" stroke="rgb(${LINE})" stroke-width="${WIDTH}" stroke-linecap="round">` +
    `<circle cx="${RING.x}" cy="${RING.y}" r="${RING.radius}"/><path d="${paths}"/></g></svg>\n`
  );
}

function png(size, { corner, scale }) {
  const rows = Buffer.alloc(size * (size * 4 + 1));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const colour = pixel(x, y, FIELD / size, corner, scale);
      rows.set(colour, y * (size * 4 + 1) + 1 + x * 4);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const parts = [chunk('IHDR', head), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}

function pixel(x, y, step, corner, scale) {
  let [inside, drawn] = [0, 0];
  for (let i = 0; i < SAMPLES * SAMPLES; i += 1) {
    const px = (x + ((i % SAMPLES) + 0.5) / SAMPLES) * step;
    const py = (y + (Math.floor(i / SAMPLES) + 0.5) / SAMPLES) * step;
    if (!inGround(px, py, corner)) continue;
    inside += 1;
    const middle = FIELD / 2;
    if (onLine(middle + (px - middle) / scale, middle + (py - middle) / scale)) drawn += 1;
  }
  if (inside === 0) return [0, 0, 0, 0];
  const mix = GROUND.map((value, i) => Math.round(value + ((LINE[i] - value) * drawn) / inside));
  return [...mix, Math.round((255 * inside) / (SAMPLES * SAMPLES))];
}

function inGround(x, y, corner) {
  const dx = Math.max(corner - x, x - (FIELD - corner), 0);
  const dy = Math.max(corner - y, y - (FIELD - corner), 0);
  return Math.hypot(dx, dy) <= corner || corner === 0;
}

function onLine(x, y) {
  const ring = Math.abs(Math.hypot(x - RING.x, y - RING.y) - RING.radius);
  return ring <= WIDTH / 2 || LINES.some((line) => distanceTo(line, x, y) <= WIDTH / 2);
}

function distanceTo([x1, y1, x2, y2], x, y) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}

function chunk(kind, data) {
  const body = Buffer.concat([Buffer.from(kind, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  whole.set(body, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

function crc32(data) {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

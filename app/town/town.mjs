// Draws an invented town around each place where the demo's invented stores are: no map data of
// anybody, always the same from the same places. Layers and names of kinds are those of Protomaps'
// basemaps, so that a real archive takes its place without a change of the app.
const METRES_PER_DEGREE = 111_320;
const STEP_M = 130;
const WARP_M = 70;
const HIGHWAY_EVERY = 16;
const MAJOR_EVERY = 4;
const BUILT_SHARE = 0.62;
/** Houses stand only this near the middle: 0 at the edge, 1 there. */
const BUILT_WITHIN = 0.4;
const PARK_SHARE = 0.035;

const FIRST = ['달빛', '별솔', '바람', '은하', '새벽', '구름', '노을', '푸른', '하늘', '꽃', '숲', '물결'];
const SECOND = ['마루', '언덕', '나루', '들', '샘', '터', '고개', '정원', '광장', '마을'];

/** Where demo/promolens_demo/maps/stores.py puts its stores: latitude, longitude, reach in degrees. */
export const TOWNS = [
  { latitude: 37.5665, longitude: 126.978, reach: 0.035, name: '가상시 달빛구', english: 'Moonlight (invented)' },
  { latitude: 37.2636, longitude: 127.0286, reach: 0.03, name: '가상시 별솔구', english: 'Starpine (invented)' },
  { latitude: 35.1796, longitude: 129.0756, reach: 0.03, name: '가상시 물결구', english: 'Waveside (invented)' },
  { latitude: 36.3504, longitude: 127.3845, reach: 0.03, name: '가상시 새벽구', english: 'Dawnfield (invented)' },
];

/** GeoJSON of one town: `{earth, landuse, water, buildings, roads, places}`, each a FeatureCollection. */
export function drawTown({ latitude, longitude, reach, name, english }) {
  const radiusM = reach * METRES_PER_DEGREE;
  const plan = planOf(Math.round(latitude * 1000), radiusM);
  const degrees = ([x, y]) => [
    longitude + x / (METRES_PER_DEGREE * Math.cos((latitude * Math.PI) / 180)),
    latitude + y / METRES_PER_DEGREE,
  ];
  const polygon = (ring, properties) => ({
    type: 'Feature',
    properties,
    geometry: { type: 'Polygon', coordinates: [[...ring, ring[0]].map(degrees)] },
  });
  const line = (points, properties) => ({
    type: 'Feature',
    properties,
    geometry: { type: 'LineString', coordinates: points.map(degrees) },
  });
  const place = {
    type: 'Feature',
    properties: { kind: 'locality', name, 'name:en': english, population_rank: 12, min_zoom: 8 },
    geometry: { type: 'Point', coordinates: [longitude, latitude] },
  };
  const blocks = blocksOf(plan);
  return {
    earth: [polygon(square(radiusM * 1.7), { kind: 'earth' })],
    landuse: [
      polygon(blob(plan, 0.2 * radiusM, 1.35 * radiusM, 0.34 * radiusM, 0.24 * radiusM), { kind: 'forest' }),
      polygon(blob(plan, -1.3 * radiusM, 0.4 * radiusM, 0.2 * radiusM, 0.5 * radiusM), { kind: 'wood' }),
      ...blocks.filter((one) => one.park).map(({ ring }) => polygon(ring, { kind: 'park' })),
    ],
    water: [polygon(river(plan), { kind: 'river' })],
    buildings: blocks.flatMap(({ houses }) => houses).map((ring) => polygon(ring, { kind: 'building' })),
    roads: streetsOf(plan).map(({ points, ...properties }) => line(points, properties)),
    places: [place],
  };
}

function planOf(seed, radiusM) {
  const chance = chances(seed);
  const turn = chance() * 0.7 - 0.35;
  const phases = [chance(), chance(), chance(), chance()].map((part) => part * 2 * Math.PI);
  const count = Math.floor(radiusM / STEP_M);
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  // A grid that is turned and bent a little, as towns that grew are.
  const at = (i, j) => {
    const [x, y] = [i * STEP_M, j * STEP_M];
    const u = x + WARP_M * (Math.sin(y / 610 + phases[0]) + 0.6 * Math.sin(x / 430 + phases[1]));
    const v = y + WARP_M * (Math.sin(x / 540 + phases[2]) + 0.6 * Math.sin(y / 380 + phases[3]));
    return [u * cos - v * sin, u * sin + v * cos];
  };
  return { at, chance, count, radiusM, inside: (i, j) => Math.hypot(i, j) <= count };
}

function streetsOf({ at, chance, count, inside }) {
  const streets = [];
  for (const across of [false, true]) {
    for (let row = -count; row <= count; row += 1) {
      const kind = row % HIGHWAY_EVERY === 0 ? 'highway' : row % MAJOR_EVERY === 0 ? 'major_road' : 'minor_road';
      const name = `${one(FIRST, chance)}${one(SECOND, chance)}${kind === 'minor_road' ? '길' : '로'}`;
      let points = [];
      const end = () => {
        if (points.length > 1) streets.push({ kind, name, points });
        points = [];
      };
      for (let step = -count; step <= count; step += 1) {
        const [i, j] = across ? [step, row] : [row, step];
        if (!inside(i, j)) end();
        else points.push(at(i, j));
        // Small streets end now and then.
        if (kind === 'minor_road' && chance() < 0.09) end();
      }
      end();
    }
  }
  return streets;
}

function blocksOf({ at, chance, count, inside }) {
  const blocks = [];
  for (let i = -count; i < count; i += 1) {
    for (let j = -count; j < count; j += 1) {
      if (!inside(i, j) || !inside(i + 1, j + 1)) continue;
      const park = chance() < PARK_SHARE;
      const near = 1 - Math.hypot(i, j) / count;
      const part = (a, b, c, d) => [[a, b], [c, b], [c, d], [a, d]].map(([u, v]) => at(i + u, j + v));
      blocks.push({ park, ring: part(0.08, 0.08, 0.92, 0.92), houses: park || near < BUILT_WITHIN ? [] : houses(part, near, chance) });
    }
  }
  return blocks;
}

/** Up to four houses in a block, more of them near the middle of the town. */
function houses(part, near, chance) {
  const found = [];
  for (const [u, v] of [[0.14, 0.14], [0.54, 0.14], [0.14, 0.54], [0.54, 0.54]]) {
    const size = 0.2 + 0.12 * chance();
    if (chance() < BUILT_SHARE * (0.35 + near)) found.push(part(u, v, u + size, v + 0.2 + 0.12 * chance()));
  }
  return found;
}

/** South of the town, where no store can be: they keep within its reach. */
function river({ radiusM }) {
  const width = 260;
  const along = Array.from({ length: 49 }, (_, i) => (i / 24 - 1) * radiusM * 1.7);
  const bank = (x, side) => [x, -1.25 * radiusM + 180 * Math.sin(x / 900) + (side * width) / 2];
  return [...along.map((x) => bank(x, -1)), ...along.reverse().map((x) => bank(x, 1))];
}

function blob({ chance }, x, y, width, height) {
  return Array.from({ length: 36 }, (_, i) => {
    const angle = (i / 36) * 2 * Math.PI;
    const far = 0.86 + 0.28 * chance();
    return [x + width * far * Math.cos(angle), y + height * far * Math.sin(angle)];
  });
}

function square(half) {
  return [[-half, -half], [half, -half], [half, half], [-half, half]];
}

function one(words, chance) {
  return words[Math.floor(chance() * words.length)];
}

/** Numbers from 0 to 1, the same for the same seed everywhere (mulberry32). */
function chances(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

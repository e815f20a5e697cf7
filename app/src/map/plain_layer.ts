/** A map without any map data: a quiet grid whose squares have a known size, drawn on this device. */
import * as L from 'leaflet';

const TILE_PX = 256;
const LINES = 4;

export class PlainLayer extends L.GridLayer {
  override createTile(coords: L.Coords): HTMLElement {
    const tile = document.createElement('canvas');
    const scale = Math.min(devicePixelRatio, 2);
    tile.width = TILE_PX * scale;
    tile.height = TILE_PX * scale;
    const pen = tile.getContext('2d');
    if (pen !== null) draw(pen, coords, scale);
    return tile;
  }
}

function draw(pen: CanvasRenderingContext2D, { x, y }: L.Coords, scale: number): void {
  const style = getComputedStyle(document.documentElement);
  pen.scale(scale, scale);
  pen.fillStyle = style.getPropertyValue((x + y) % 2 === 0 ? '--map-a' : '--map-b');
  pen.fillRect(0, 0, TILE_PX, TILE_PX);
  pen.strokeStyle = style.getPropertyValue('--map-line');
  pen.lineWidth = 1;
  pen.beginPath();
  for (let i = 0; i < LINES; i += 1) {
    const at = (i * TILE_PX) / LINES + 0.5;
    pen.moveTo(at, 0);
    pen.lineTo(at, TILE_PX);
    pen.moveTo(0, at);
    pen.lineTo(TILE_PX, at);
  }
  pen.stroke();
}

/** A map of stores with Leaflet; it gets elements and never HTML, so nothing can be put in as markup. */
import * as L from 'leaflet';
import type { Config, MapLayer } from '../config.ts';
import type { Position } from '../data/distance.ts';
import type { NearStore } from '../data/stores.ts';
import type { Speech } from '../texts/texts.ts';
import { el } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { iconButton } from '../ui/pieces.ts';
import { PlainLayer } from './plain_layer.ts';

export interface MapEvents {
  picked(position: Position): void;
  chosen(storeId: string): void;
  tilesMissing(): void;
}

export interface MapView {
  goTo(position: Position): void;
  show(stores: readonly NearStore[]): void;
  select(storeId: string): void;
  close(): void;
}

const NEAR_ZOOM = 16;
const MARKERS = 60;
const STYLES = 'leaflet.css';

export async function openMap(
  place: HTMLElement,
  config: Config,
  speech: Speech,
  events: MapEvents,
): Promise<MapView> {
  await styled();
  const { start } = config;
  const map = L.map(place, {
    zoomControl: false,
    attributionControl: false,
    maxZoom: config.map.kind === 'plain' ? 19 : config.map.maxZoom,
    zoomAnimation: !matchMedia('(prefers-reduced-motion: reduce)').matches,
  }).setView([start.latitude, start.longitude], start.zoom);
  place.setAttribute('aria-label', speech.say('mapLabel'));
  place.setAttribute('role', 'application');
  place.append(
    el(
      'div',
      { class: 'map-tools' },
      iconButton('plus', speech.say('mapZoomIn'), () => map.zoomIn()),
      iconButton('minus', speech.say('mapZoomOut'), () => map.zoomOut()),
    ),
    el('p', { class: 'map-attribution' }, config.map.kind === 'plain' ? '' : config.map.attribution),
  );
  (await layerOf(config.map, events)).addTo(map);
  map.on('click', ({ latlng }) => events.picked({ latitude: latlng.lat, longitude: latlng.wrap().lng }));
  return new LeafletView(map, speech, events);
}

class LeafletView implements MapView {
  private readonly markers = new Map<string, L.Marker>();
  private readonly group: L.LayerGroup;
  private here: L.Marker | null = null;

  constructor(
    private readonly map: L.Map,
    private readonly speech: Speech,
    private readonly events: MapEvents,
  ) {
    this.group = L.layerGroup().addTo(map);
  }

  goTo({ latitude, longitude }: Position): void {
    this.map.setView([latitude, longitude], NEAR_ZOOM, { animate: false });
    this.here?.remove();
    const sign = L.divIcon({ html: el('span', { class: 'here' }), className: 'here-place', iconSize: [22, 22] });
    const options = { icon: sign, keyboard: false, interactive: false, zIndexOffset: 1000 };
    this.here = L.marker([latitude, longitude], options).addTo(this.map);
  }

  show(stores: readonly NearStore[]): void {
    this.group.clearLayers();
    this.markers.clear();
    for (const store of stores.slice(0, MARKERS)) this.markers.set(store.id, this.marker(store));
  }

  select(storeId: string): void {
    const marker = this.markers.get(storeId);
    for (const one of this.markers.values()) one.getElement()?.classList.toggle('chosen', one === marker);
    if (marker !== undefined) this.map.panTo(marker.getLatLng());
  }

  close(): void {
    this.map.remove();
  }

  private marker(store: NearStore): L.Marker {
    const chain = store.chain ?? 'other';
    const sign = el('span', { class: `marker chain-${chain}` }, icon('store'));
    const label = `${store.name}, ${this.speech.distance(store.distanceM)}`;
    const marker = L.marker([store.latitude, store.longitude], {
      icon: L.divIcon({ html: sign, className: 'marker-place', iconSize: [44, 44] }),
      alt: label,
      // Leaflet sets it as a property: text, not HTML.
      title: label,
    });
    marker.on('click', () => {
      this.select(store.id);
      this.events.chosen(store.id);
    });
    marker.addTo(this.group);
    marker.getElement()?.setAttribute('aria-label', label);
    return marker;
  }
}

async function layerOf(layer: MapLayer, events: MapEvents): Promise<L.Layer> {
  if (layer.kind === 'plain') return new PlainLayer();
  const made = layer.kind === 'tiles' ? tiles(layer) : await archive(layer);
  let told = false;
  made.on('tileerror', () => {
    if (!told) events.tilesMissing();
    told = true;
  });
  return made;
}

function tiles({ url, maxZoom }: MapLayer & { kind: 'tiles' }): L.GridLayer {
  return L.tileLayer(url, { maxZoom, referrerPolicy: 'strict-origin-when-cross-origin' });
}

async function archive({ url, maxZoom }: MapLayer & { kind: 'pmtiles' }): Promise<L.GridLayer> {
  const { leafletRasterLayer, PMTiles } = await import('pmtiles');
  return leafletRasterLayer(new PMTiles(url), { maxZoom }) as L.GridLayer;
}

/** Only who opens the map needs its styles. */
function styled(): Promise<void> {
  if (document.querySelector(`link[href="${STYLES}"]`) !== null) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = el('link', { rel: 'stylesheet', href: STYLES });
    link.addEventListener('load', () => resolve());
    link.addEventListener('error', () => reject(new Error(`${STYLES} is missing`)));
    document.head.append(link);
  });
}

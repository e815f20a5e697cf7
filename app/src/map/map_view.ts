/** A map of stores with Leaflet; it gets elements and never HTML, so nothing can be put in as markup. */
import * as L from 'leaflet';
import { layerFor, type Config, type MapLayer } from '../config.ts';
import type { Position } from '../data/distance.ts';
import type { NearStore } from '../data/stores.ts';
import type { Speech } from '../texts/texts.ts';
import { el, fill, safeLink } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { iconButton } from '../ui/pieces.ts';
import { layerOf } from './layers.ts';
import { PlainLayer } from './plain_layer.ts';

export interface MapEvents {
  picked(position: Position): void;
  chosen(storeId: string): void;
  tilesMissing(): void;
}

export interface MapView {
  goTo(position: Position): void;
  /** `source` is what the stores' own attribution says. */
  show(stores: readonly NearStore[], source: string): void;
  select(storeId: string): void;
  close(): void;
}

const NEAR_ZOOM = 16;
const PLAIN_ZOOM = 19;
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
    maxZoom: config.map.kind === 'plain' ? PLAIN_ZOOM : config.map.maxZoom,
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
  );
  map.on('click', ({ latlng }) => events.picked({ latitude: latlng.lat, longitude: latlng.wrap().lng }));
  const view = new LeafletView(map, config, speech, events);
  place.append(view.attribution);
  return view;
}

class LeafletView implements MapView {
  private readonly markers = new Map<string, L.Marker>();
  private readonly group: L.LayerGroup;
  private here: L.Marker | null = null;
  readonly attribution = el('p', { class: 'map-attribution' });
  private ground: { readonly wanted: MapLayer; readonly layer: L.Layer } | null = null;
  private told = false;
  private closed = false;

  constructor(
    private readonly map: L.Map,
    private readonly config: Config,
    private readonly speech: Speech,
    private readonly events: MapEvents,
  ) {
    this.group = L.layerGroup().addTo(map);
    void this.lay(layerFor(config, null));
  }

  goTo({ latitude, longitude }: Position): void {
    this.map.setView([latitude, longitude], NEAR_ZOOM, { animate: false });
    this.here?.remove();
    const sign = L.divIcon({ html: el('span', { class: 'here' }), className: 'here-place', iconSize: [22, 22] });
    const options = { icon: sign, keyboard: false, interactive: false, zIndexOffset: 1000 };
    this.here = L.marker([latitude, longitude], options).addTo(this.map);
  }

  show(stores: readonly NearStore[], source: string): void {
    void this.lay(layerFor(this.config, source));
    this.group.clearLayers();
    this.markers.clear();
    const chains = new Set<string>();
    for (const store of stores.slice(0, MARKERS)) {
      const chain = store.chain ?? 'other';
      this.markers.set(store.id, this.marker(store, !chains.has(chain)));
      chains.add(chain);
    }
  }

  select(storeId: string): void {
    const marker = this.markers.get(storeId);
    for (const one of this.markers.values()) one.getElement()?.classList.toggle('chosen', one === marker);
    if (marker !== undefined) this.map.panTo(marker.getLatLng());
  }

  close(): void {
    this.closed = true;
    this.map.remove();
  }

  /** Put another map under the stores; until it is there, and where it does not come, a plain one. */
  private async lay(wanted: MapLayer): Promise<void> {
    if (this.ground?.wanted === wanted) return;
    this.ground?.layer.remove();
    const plain = new PlainLayer().addTo(this.map);
    this.ground = { wanted, layer: plain };
    fill(this.attribution, ...(wanted.kind === 'plain' ? [] : [credit(wanted)]));
    if (wanted.kind === 'plain') return;
    const layer = await layerOf(wanted, this.speech, () => this.missing());
    if (this.closed || this.ground.layer !== plain) return;
    this.ground = { wanted, layer: layer.addTo(this.map) };
    plain.remove();
  }

  private missing(): void {
    if (!this.told) this.events.tilesMissing();
    this.told = true;
  }

  /** The nearest of a chain has a large sign, the others a dot, so that they do not hide each other. */
  private marker(store: NearStore, nearest: boolean): L.Marker {
    const chain = store.chain ?? 'other';
    const sign = el('span', { class: `marker chain-${chain}` }, icon('store'));
    const label = `${store.name}, ${this.speech.distance(store.distanceM)}`;
    const marker = L.marker([store.latitude, store.longitude], {
      icon: L.divIcon({ html: sign, className: nearest ? 'marker-place' : 'marker-place minor', iconSize: [44, 44] }),
      zIndexOffset: nearest ? 500 : 0,
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

/** Who made the map, with a link where the licence asks for one. */
function credit({ attribution, attributionUrl }: Exclude<MapLayer, { kind: 'plain' }>): Node {
  const href = attributionUrl === undefined ? undefined : safeLink(attributionUrl);
  if (href === undefined) return document.createTextNode(attribution);
  return el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, attribution);
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

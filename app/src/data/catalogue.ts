/** This device's copy as a whole, for lists; read once and again after every change. */
import { holdsOn } from './answers.ts';
import { compareDeals, unitPrice, type Kind } from './deals.ts';
import type { Chain } from './chains.ts';
import type { Clock } from './clock.ts';
import type { Item, PromotionRow } from './rows.ts';
import { indexed, searched, type Indexed } from './search.ts';
import { allRows, type Tables } from './tables.ts';

export interface Filter {
  readonly query: string;
  readonly chains: ReadonlySet<Chain>;
  readonly kinds: ReadonlySet<Kind>;
}

/** A product and what is offered for it, best deal first. */
export interface Listed {
  readonly item: Item;
  readonly promotions: readonly PromotionRow[];
}

interface Loaded {
  readonly products: readonly Indexed[];
  readonly promotions: ReadonlyMap<number, readonly PromotionRow[]>;
}

export class Catalogue {
  private loading: Promise<Loaded> | null = null;

  constructor(
    private readonly tables: Tables,
    private readonly clock: Clock,
  ) {}

  /** Read everything anew when it is next asked for. */
  changed(): void {
    this.loading = null;
  }

  async items(): Promise<readonly Item[]> {
    return (await this.loaded()).products.map(({ item }) => item);
  }

  async isEmpty(): Promise<boolean> {
    return (await this.loaded()).products.length === 0;
  }

  /** Products that fit; where nothing was typed only those on offer, the cheapest piece first. */
  async list({ query, chains, kinds }: Filter): Promise<readonly Listed[]> {
    const { products, promotions } = await this.loaded();
    const today = this.clock.today();
    const wanted = (row: PromotionRow): boolean =>
      holdsOn(row, today) &&
      (chains.size === 0 || chains.has(row.chain)) &&
      (kinds.size === 0 || kinds.has(row.kind));
    const found = searched(products, query).map((item) => ({
      item,
      promotions: (promotions.get(item.id) ?? []).filter(wanted).sort(compareDeals),
    }));
    const filtered = chains.size > 0 || kinds.size > 0 || query.trim() === '';
    const listed = filtered ? found.filter((one) => one.promotions.length > 0) : found;
    if (query.trim() !== '') return [...listed].sort((a, b) => offered(b) - offered(a));
    return [...listed].sort((a, b) => cheapest(a) - cheapest(b));
  }

  private loaded(): Promise<Loaded> {
    this.loading ??= this.load().catch((error: unknown) => {
      this.loading = null;
      throw error;
    });
    return this.loading;
  }

  private async load(): Promise<Loaded> {
    const items = await allRows<Item>(this.tables, 'items');
    const promotions = new Map<number, PromotionRow[]>();
    for (const row of await allRows<PromotionRow>(this.tables, 'promotions')) {
      const known = promotions.get(row.item_id);
      if (known === undefined) promotions.set(row.item_id, [row]);
      else known.push(row);
    }
    return { products: items.map(indexed), promotions };
  }
}

function offered({ promotions }: Listed): number {
  return promotions.length > 0 ? 1 : 0;
}

function cheapest({ promotions: [best] }: Listed): number {
  return best === undefined ? Infinity : unitPrice(best);
}

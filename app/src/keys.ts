/** A product in an address: `item-53`, `barcode-8801056150013`, `label-choco`. */
import { readBarcode } from './data/barcode_text.ts';
import type { ProductKey } from './data/lookup.ts';

export function pathOfKey({ itemId, barcodes, label }: ProductKey): string {
  if (barcodes?.[0] !== undefined) return `barcode-${barcodes[0]}`;
  return itemId !== undefined ? `item-${itemId}` : `label-${encodeURIComponent(label ?? '')}`;
}

/** null for what is no product. */
export function keyOfPath(path: string): ProductKey | null {
  const [kind, rest] = [path.split('-', 1)[0], path.slice(path.indexOf('-') + 1)];
  if (kind === 'item' && /^[0-9]{1,15}$/.test(rest)) return { itemId: Number(rest) };
  const barcode = kind === 'barcode' ? readBarcode(rest) : null;
  if (barcode !== null) return { barcodes: [barcode] };
  return kind === 'label' && rest !== '' ? { label: decoded(rest) } : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

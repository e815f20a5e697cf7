/** labels.json: from the model's output order to products. */
import { Problem } from './problem.ts';
import { isObject, parseStrict, type Json } from './strict_json.ts';

export interface Label {
  readonly index: number;
  readonly label: string;
  readonly item_id: string;
  readonly barcodes: readonly string[];
  readonly name_ko: string;
  readonly name_en: string;
  readonly parent: string | null;
  readonly aliases: readonly string[];
}

/** Read labels.json with exactly `count` classes. Throws Problem. */
export function readLabels(data: Uint8Array, count: number): readonly Label[] {
  const value = parseStrict(data, 'labels-damaged');
  const classes = isObject(value) ? value['classes'] : undefined;
  if (!Array.isArray(classes) || classes.length !== count) {
    throw damaged(`${count} classes, as the logits are wide`);
  }
  const labels = classes.map(readLabel);
  for (const key of ['label', 'item_id'] as const) {
    if (new Set(labels.map((label) => label[key])).size !== count) throw damaged(`every ${key} once`);
  }
  return labels;
}

function readLabel(entry: Json, index: number): Label {
  if (!isObject(entry) || entry['index'] !== index) throw damaged(`index ${index} at place ${index}`);
  return {
    index,
    label: text(entry['label'], index),
    item_id: text(entry['item_id'], index) || refuse(index),
    barcodes: texts(entry['barcodes'], index),
    name_ko: text(entry['name_ko'], index),
    name_en: text(entry['name_en'], index),
    parent: entry['parent'] === null ? null : text(entry['parent'], index),
    aliases: texts(entry['aliases'], index),
  };
}

function text(value: Json | undefined, index: number): string {
  return typeof value === 'string' ? value : refuse(index);
}

function texts(value: Json | undefined, index: number): readonly string[] {
  return Array.isArray(value) ? value.map((item) => text(item, index)) : refuse(index);
}

function refuse(index: number): never {
  throw damaged(`class ${index} with its texts and lists`);
}

function damaged(expected: string): Problem {
  return new Problem('labels-damaged', `Expected labels.json with ${expected}. Received another.`);
}

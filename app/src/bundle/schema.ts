/** The part of JSON Schema that manifest.schema.json uses; anything else in a schema is an error. */
import { isObject, type Json, type JsonObject } from './strict_json.ts';

const ANNOTATIONS = new Set(['$schema', '$id', '$defs', 'title', 'description']);

type Check = (rule: Json, value: Json, at: string, schema: JsonObject, root: JsonObject) => string[];

/** Return one line for each place where `value` breaks `schema`; throws on an unknown keyword. */
export function schemaProblems(value: Json, schema: JsonObject, root = schema, at = ''): string[] {
  return Object.entries(schema).flatMap(([keyword, rule]) => {
    if (ANNOTATIONS.has(keyword)) return [];
    const check = CHECKS[keyword];
    if (check === undefined) throw new Error(`JSON Schema keyword ${keyword} is not supported`);
    return check(rule, value, at, schema, root);
  });
}

const TYPES: Record<string, (value: Json) => boolean> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  null: (value) => value === null,
};

const CHECKS: Record<string, Check> = {
  type: (rule, value, at) => (TYPES[String(rule)]?.(value) ? [] : [line(at, `no ${String(rule)}`)]),
  enum: (rule, value, at) =>
    (rule as Json[]).includes(value) ? [] : [line(at, 'a value that is not among those known')],
  pattern: (rule, value, at) =>
    typeof value !== 'string' || new RegExp(String(rule), 'u').test(value)
      ? []
      : [line(at, 'a text of another form')],
  minLength: (rule, value, at) => bound(at, lengthOf(value), Number(rule), Infinity),
  maxLength: (rule, value, at) => bound(at, lengthOf(value), 0, Number(rule)),
  minimum: (rule, value, at) => bound(at, numberOf(value), Number(rule), Infinity),
  maximum: (rule, value, at) => bound(at, numberOf(value), -Infinity, Number(rule)),
  exclusiveMinimum: (rule, value, at) =>
    typeof value === 'number' && value <= Number(rule) ? [line(at, `${value}`)] : [],
  minItems: (rule, value, at) => bound(at, countOf(value), Number(rule), Infinity),
  maxItems: (rule, value, at) => bound(at, countOf(value), 0, Number(rule)),
  minProperties: (rule, value, at) => bound(at, keysOf(value)?.length, Number(rule), Infinity),
  maxProperties: (rule, value, at) => bound(at, keysOf(value)?.length, 0, Number(rule)),
  required: (rule, value, at) =>
    missing(value, rule as string[]).map((key) => line(at, `nothing called ${key}`)),
  dependentRequired: (rule, value, at) =>
    Object.entries(rule as JsonObject)
      .filter(([key]) => isObject(value) && Object.hasOwn(value, key))
      .flatMap(([, keys]) => missing(value, keys as string[]))
      .map((key) => line(at, `nothing called ${key}`)),
  properties: (rule, value, at, _schema, root) =>
    Object.entries(rule as JsonObject).flatMap(([key, inner]) =>
      isObject(value) && Object.hasOwn(value, key)
        ? schemaProblems(value[key] as Json, inner as JsonObject, root, `${at}/${key}`)
        : [],
    ),
  propertyNames: (rule, value, at, _schema, root) =>
    (keysOf(value) ?? []).flatMap((key) =>
      schemaProblems(key, rule as JsonObject, root, `${at}/${key}`),
    ),
  additionalProperties: (rule, value, at, schema, root) => {
    const named = isObject(schema['properties']) ? schema['properties'] : {};
    return (keysOf(value) ?? [])
      .filter((key) => !Object.hasOwn(named, key))
      .flatMap((key) =>
        schemaProblems((value as JsonObject)[key] as Json, rule as JsonObject, root, `${at}/${key}`),
      );
  },
  items: (rule, value, at, _schema, root) =>
    Array.isArray(value)
      ? value.flatMap((item, i) => schemaProblems(item, rule as JsonObject, root, `${at}/${i}`))
      : [],
  oneOf: (rule, value, at, _schema, root) => {
    const fitting = (rule as JsonObject[]).filter(
      (inner) => schemaProblems(value, inner, root, at).length === 0,
    );
    return fitting.length === 1 ? [] : [line(at, 'none of the allowed forms')];
  },
  not: (rule, value, at, _schema, root) =>
    schemaProblems(value, rule as JsonObject, root, at).length > 0 ? [] : [line(at, 'a form not allowed')],
  $ref: (rule, value, at, _schema, root) => {
    const name = /^#\/\$defs\/([a-z0-9_]+)$/.exec(String(rule))?.[1] ?? '';
    const target = (root['$defs'] as JsonObject)[name];
    if (!isObject(target)) throw new Error(`JSON Schema reference ${String(rule)} leads nowhere`);
    return schemaProblems(value, target, root, at);
  },
};

function line(at: string, received: string): string {
  return `Expected manifest.json to follow its schema. Received ${received} at ${at || 'the top'}.`;
}

function bound(at: string, size: number | undefined, least: number, most: number): string[] {
  return size === undefined || (size >= least && size <= most) ? [] : [line(at, `${size}`)];
}

function numberOf(value: Json): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function lengthOf(value: Json): number | undefined {
  return typeof value === 'string' ? Array.from(value).length : undefined;
}

function countOf(value: Json): number | undefined {
  return Array.isArray(value) ? value.length : undefined;
}

function keysOf(value: Json): string[] | undefined {
  return isObject(value) ? Object.keys(value) : undefined;
}

function missing(value: Json, keys: string[]): string[] {
  return isObject(value) ? keys.filter((key) => !Object.hasOwn(value, key)) : [];
}

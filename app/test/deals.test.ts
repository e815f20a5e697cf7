/** Prices: as promolens_catalog.deals has them, numbers derived by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareDeals, piecesOf, pricePer100, savingPercent, tillPrice, unitPrice, type Terms } from '../src/data/deals.ts';

const terms = (kind: Terms['kind'], price: number, more: Partial<Terms> = {}): Terms => ({
  kind,
  chain: 'cu',
  price_krw: price,
  ...more,
});

test('one piece of n+m costs n of n+m, halves up', () => {
  assert.equal(unitPrice(terms('1+1', 1501)), 751);
  assert.equal(unitPrice(terms('2+1', 2500)), 1667);
  assert.equal(unitPrice(terms('3+1', 1000)), 750);
  assert.equal(unitPrice(terms('gift', 1234)), 1234);
});

test('at the till one pays for the pieces that are not free', () => {
  assert.deepEqual([tillPrice(terms('2+1', 1700)), piecesOf('2+1')], [3400, 3]);
  assert.deepEqual([tillPrice(terms('discount', 900)), piecesOf('discount')], [900, 1]);
});

test('saving is against the ordinary price', () => {
  assert.equal(savingPercent(terms('1+1', 1000)), 50);
  assert.equal(savingPercent(terms('2+1', 1000)), 33);
  assert.equal(savingPercent(terms('discount', 750, { regular_price_krw: 1000 })), 25);
  assert.equal(savingPercent(terms('discount', 750)), 0);
  assert.equal(savingPercent(terms('gift', 0)), 0);
});

test('100 ml and 100 g can be compared, pieces cannot', () => {
  assert.equal(pricePer100(terms('1+1', 2500), 500, 'ml'), 250);
  assert.equal(pricePer100(terms('2+1', 1700), 240, 'g'), 472);
  assert.equal(pricePer100(terms('1+1', 2500), 6, 'count'), null);
  assert.equal(pricePer100(terms('1+1', 2500), undefined, 'ml'), null);
});

test('the best deal comes first: price, gift, fewer pieces, certainty, chain', () => {
  const sorted = [
    terms('2+1', 1500, { chain: 'b' }),
    terms('discount', 1000, { chain: 'z' }),
    terms('discount', 1000, { chain: 'a', link: 'name' }),
    terms('1+1', 2000, { chain: 'a' }),
    terms('gift', 1000, { chain: 'g', gift_price_krw: 500 }),
    terms('1+1', 1800, { chain: 'c' }),
  ].sort(compareDeals);
  assert.deepEqual(sorted.map(({ chain }) => chain), ['c', 'g', 'z', 'a', 'a', 'b']);
  assert.deepEqual(sorted.map(({ kind }) => kind), ['1+1', 'gift', 'discount', 'discount', '1+1', '2+1']);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Label } from '../src/bundle/labels.ts';
import { decide } from '../src/camera/decision.ts';
import { FrameGallery, fusedAnswer, productAt, productWith, type Known } from '../src/gallery/answering.ts';
import type { SteadyAnswer } from '../src/recognition/smoothing.ts';

const RULE = { accept_at_least: 0.6, margin_at_least: 0.1, override_margin: 0.2 };
const KNOWN: Known = {
  labels: [label('cola'), label('cider')],
  gallery: { galleryId: 'g', version: 1, products: [label('new'), label('newer'), label('cider')], rule: RULE },
};
const NOBODY: SteadyAnswer = {
  top: [{ index: 1, probability: 0.4 }, { index: 0, probability: 0.3 }],
  known: false,
  score: 1,
  confidence: 0.4,
  settled: true,
};
const CIDER: SteadyAnswer = { ...NOBODY, known: true, confidence: 0.9 };
const NEW = [0.9, 0.2, 0.1];
const NEWER = [0.2, 0.9, 0.1];
const NOTHING = [0.3, 0.3, 0.3];

function label(name: string): Label {
  const texts = { label: name, item_id: name, name_ko: name, name_en: name };
  return { index: 0, ...texts, barcodes: [], parent: null, aliases: [] };
}

/** What is said after the last of these frames, 100 ms apart. */
function after(frames: readonly (readonly number[] | null)[], said = NOBODY): ReturnType<FrameGallery['answer']> {
  const gallery = new FrameGallery();
  const all = frames.map((cosines, i) => gallery.answer(KNOWN, said, cosines, i * 100));
  return all.at(-1)!;
}

test('a product of the gallery is shown after three frames that agree', () => {
  assert.deepEqual([after([NEW]).known, after([NEW]).settled], [true, false]);
  const settled = after([NEW, NEW, NEW]);
  assert.deepEqual([settled.by, settled.settled, settled.top[0]?.index], ['gallery', true, 2]);
  assert.equal(productAt(KNOWN, 2)?.item_id, 'new');
});

test('a barcode finds its product, the trained one first, however the list spells it', () => {
  const having = (name: string, ...barcodes: readonly string[]): Label => ({ ...label(name), barcodes });
  const gallery = { ...KNOWN.gallery!, products: [having('copy', '8801056150013'), having('tissue', '036000291452')] };
  const known = { labels: [label('cola'), having('cider', '96385074', '8801056150013')], gallery };
  assert.equal(productWith(known, '8801056150013')?.item_id, 'cider');
  assert.equal(productWith(known, '0036000291452')?.item_id, 'tissue');
  assert.equal(productWith(known, '4006381333931'), undefined);
});

test('from one product to the next there is a moment of neither', () => {
  const moving = after([NEW, NEW, NEW, NEWER]);
  assert.equal(moving.known && moving.settled, false);
  assert.equal(after([NEW, NEW, NEW, ...Array<number[]>(8).fill(NEWER)]).top[0]?.index, 3);
});

test('one frame that is sure does not make an unknown thing known', () => {
  assert.equal(after([NOTHING, NOTHING, NOTHING, NEW]).known, false);
  assert.equal(after([NEW, NEW, NEW, ...Array<number[]>(8).fill(NOTHING)]).known, false);
});

test('a picture of one colour ends what the gallery said', () => {
  const answer = after([NEW, NEW, NEW, null]);
  assert.deepEqual([answer.by, answer.known], ['nobody', false]);
});

test('the classifier keeps its answer unless the gallery is clearly for another', () => {
  assert.equal(after([[0.75, 0.1, 0.6]], CIDER).by, 'classifier');
  assert.equal(after([[0.85, 0.1, 0.6]], CIDER).by, 'gallery');
  assert.equal(after([[0.1, 0.1, 0.9]], CIDER).by, 'classifier', 'both say cider');
  assert.equal(after([[0.65, 0.6, 0]], CIDER).by, 'classifier', 'the gallery is not sure');
});

test('without a gallery nothing changes', () => {
  const alone = fusedAnswer({ labels: KNOWN.labels, gallery: null }, CIDER, null);
  assert.deepEqual(alone, { ...CIDER, by: 'classifier' });
});

test('what the gallery accepts is shown, also where its cosines are low', () => {
  const rule = { ...RULE, accept_at_least: 0.3 };
  const known = { ...KNOWN, gallery: { ...KNOWN.gallery!, rule } };
  const answer = { ...fusedAnswer(known, NOBODY, [0.4, 0.1, 0]), settled: true };
  const { shown } = decide(null, answer, 0);
  assert.deepEqual(shown, { kind: 'product', index: 2, confidence: 0.4 });
});

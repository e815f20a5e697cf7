/** The camera: point at a product, see its promotions. */
import type { App } from '../app.ts';
import { asProblem, type Problem } from '../bundle/problem.ts';
import { watchBarcodes, barcodeIn } from '../camera/barcodes.ts';
import { Calm } from '../camera/calm.ts';
import { Camera, cameraAllowed, cameraProblem } from '../camera/camera.ts';
import { decide, type Shown, type Watch } from '../camera/decision.ts';
import { Scanner } from '../camera/scanner.ts';
import { AskingButton } from '../feedback/asking.ts';
import { BY_BARCODE, feedbackForm, type Choice } from '../feedback/form.ts';
import { frameOf, keptFrame, type Source } from '../feedback/picture.ts';
import { productAt, productWith } from '../gallery/answering.ts';
import { readBarcode } from '../data/barcode_text.ts';
import { savedId } from '../data/saved.ts';
import type { ProductKey } from '../data/lookup.ts';
import type { Label } from '../bundle/labels.ts';
import type { Recognition } from '../recognition/protocol.ts';
import type { SteadyAnswer } from '../recognition/smoothing.ts';
import type { LensState } from '../lens.ts';
import type { Page } from '../router.ts';
import type { TextName } from '../texts/ko.ts';
import { AnswerCard, type CardOptions } from '../ui/answer_card.ts';
import { el, fill } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { button, iconButton, message, productRow } from '../ui/pieces.ts';
import { Sheet } from '../ui/sheet.ts';
import { wordsOfProblem } from '../ui/words.ts';
import { pathOfKey } from '../keys.ts';

const MEGABYTE = 1_000_000;
/** After a card was closed, the same product does not come up again while it stays in view. */
const SEEN_GAP_MS = 1_500;
const BARCODE_HOLDS_MS = 3_000;

/** What a photo can be sent about. */
interface Asked {
  readonly picture: Source;
  /** What was shown: a product of the recogniser, what a barcode says, or null for not known. */
  readonly shown: number | string | null;
  readonly candidates: readonly number[];
}

/** What the recogniser says of a product; a barcode says neither. */
type Named = Pick<CardOptions, 'name' | 'confidence'>;

export function scanPage(app: App): Page {
  const page = new ScanPage(app);
  return { title: app.speech.say('scanTitle'), element: page.element, leave: () => page.leave() };
}

class ScanPage {
  readonly element: HTMLElement;
  private readonly video = el('video', { class: 'preview', muted: true, playsinline: true, 'aria-hidden': 'true' });
  private readonly hint = el('p', { class: 'hint', role: 'status', 'aria-live': 'polite' });
  private readonly similar: HTMLButtonElement;
  private readonly stage = el('div', { class: 'stage-message' });
  private readonly torch: HTMLButtonElement;
  private readonly sheet: Sheet;
  private readonly asking: AskingButton;
  private readonly askingUnknown: AskingButton;
  private asked: Asked | null = null;
  private readonly sendsPhotos: boolean;
  private camera: Camera | null = null;
  private scanner: Scanner | null = null;
  private card: AnswerCard | null = null;
  private watch: Watch | null = null;
  private shownId = '';
  private dismissed: { id: string; atMs: number } | null = null;
  private candidates: readonly number[] = [];
  private torchOn = false;
  private barcodeAtMs = -BARCODE_HOLDS_MS;
  private endBarcodes: (() => void) | null = null;
  private endPhotoNote: () => void = () => undefined;
  private readonly calm = new Calm();
  private left = false;
  private readonly endings: (() => void)[] = [];

  constructor(private readonly app: App) {
    const words = { label: this.say('scanTitle'), close: this.say('close'), more: this.say('more') };
    this.sheet = new Sheet(words, { closed: () => this.sheetClosed(), raised: (whole) => this.sheetRaised(whole) });
    this.torch = iconButton('torch', this.say('torch'), () => void this.toggleTorch(), 'on-dark');
    this.torch.hidden = true;
    this.similar = button(this.say('scanSimilar'), () => this.showCandidates(this.candidates, this.frame()), 'plain');
    this.similar.hidden = true;
    this.sendsPhotos = app.feedback.isOn;
    this.asking = new AskingButton(app, () => this.askToSend(this.asked));
    this.askingUnknown = new AskingButton(app, () => this.askToSend(this.seen(null, this.candidates)));
    this.askingUnknown.element.hidden = true;
    this.endings.push(() => this.asking.end(), () => this.askingUnknown.end());
    this.element = this.build();
    this.endings.push(app.lens.changes.on((state) => this.lensChanged(state)));
    const seen = (): void => this.visibilityChanged();
    document.addEventListener('visibilitychange', seen);
    this.endings.push(() => document.removeEventListener('visibilitychange', seen));
    this.lensChanged(app.lens.state);
    void this.begin();
  }

  leave(): void {
    this.left = true;
    for (const end of this.endings) end();
    this.card?.end();
    this.closeCamera();
  }

  private build(): HTMLElement {
    const file = el('input', { type: 'file', accept: 'image/*', class: 'visually-hidden', tabindex: -1, 'aria-hidden': 'true' });
    file.addEventListener('change', () => {
      const chosen = file.files?.[0];
      file.value = '';
      if (chosen !== undefined) void this.lookAtPhoto(chosen);
    });
    this.video.addEventListener('click', (event) => this.focusAt(event));
    const tools = el(
      'div',
      { class: 'scan-tools' },
      iconButton('picture', this.say('gallery'), () => file.click(), 'on-dark'),
      iconButton('camera', this.say('shutter'), () => void this.takePhoto(), 'on-dark shutter'),
      iconButton('barcode', this.say('typeBarcode'), () => this.askBarcode(), 'on-dark'),
    );
    return el(
      'div',
      { class: 'scan' },
      el('h1', { class: 'visually-hidden', tabindex: -1 }, this.say('scanTitle')),
      this.video,
      el('div', { class: 'reticle', 'aria-hidden': 'true' }),
      this.stage,
      el('div', { class: 'scan-top' }, el('span', { class: 'brand' }, this.say('appName')), this.torch),
      el('div', { class: 'scan-bottom' }, this.hint, this.similar, this.askingUnknown.element, tools),
      file,
      this.sheet.element,
    );
  }

  private async begin(): Promise<void> {
    const allowed = await cameraAllowed();
    if (this.left) return;
    if (allowed === true) await this.openCamera();
    else if (allowed === false) this.cameraFailed(new DOMException('', 'NotAllowedError'));
    else this.explainCamera();
    // The shell is there; now the large things may come.
    void this.openLens();
  }

  private explainCamera(): void {
    const start = button(this.say('cameraStart'), () => void this.openCamera());
    fill(this.stage, message('camera', this.say('cameraWhyTitle'), this.say('cameraWhy'), start));
  }

  private async openCamera(): Promise<void> {
    fill(this.stage);
    try {
      const camera = await Camera.open(this.video, () => this.cameraFailed(null));
      if (this.left) {
        camera.close(this.video);
        return;
      }
      this.camera = camera;
      this.torch.hidden = !camera.hasTorch;
      this.element.classList.add('live');
      if (this.app.lens.state.kind === 'ready') this.tell('scanHint');
      await this.startScanner();
      this.startBarcodes();
    } catch (error) {
      this.cameraFailed(error);
    }
  }

  private cameraFailed(error: unknown): void {
    if (this.left) return;
    this.closeCamera();
    const code: TextName = error === null ? 'camera-lost' : cameraProblem(error).code;
    const again = button(this.say('retry'), () => void this.openCamera());
    fill(this.stage, message('warning', '', this.say(code), code === 'camera-insecure' ? null : again));
    this.tell('tagline');
  }

  /** A second eye, once the first one is open or will not open; its library waits for the first answer. */
  private startBarcodes(): void {
    const { kind } = this.app.lens.state;
    if (this.camera === null || this.endBarcodes !== null || this.left) return;
    if (kind !== 'ready' && kind !== 'failed') return;
    if (kind === 'failed') this.calm.answered();
    this.calm.scanning();
    const found = (barcode: string, frame: ImageBitmap | null): void => this.showBarcode(barcode, frame);
    this.endBarcodes = watchBarcodes(this.video, { keepsFrames: this.sendsPhotos, found }, this.calm.reached);
  }

  private closeCamera(): void {
    this.endBarcodes?.();
    this.endBarcodes = null;
    this.scanner?.stop();
    this.scanner = null;
    this.camera?.close(this.video);
    this.camera = null;
    this.element.classList.remove('live');
  }

  private async openLens(): Promise<void> {
    try {
      await this.app.lens.ready();
      await this.startScanner();
    } catch {
      return; // lensChanged said why
    }
  }

  private lensChanged(state: LensState): void {
    if (state.kind === 'loading') {
      const mb = (state.loadedBytes / MEGABYTE).toFixed(1);
      this.hint.textContent =
        state.loadedBytes === 0 ? this.say('scanPreparing') : this.app.speech.say('scanPreparingMb', { mb });
    } else if (state.kind === 'failed') {
      this.lensFailed(state.problem);
      this.startBarcodes();
    } else if (state.kind === 'ready') {
      this.tell(this.camera === null ? 'tagline' : 'scanHint');
      if (!state.opened.exactPixels) this.app.notices.tell(this.say('pixelsChanged'));
      void this.startScanner();
      this.startBarcodes();
    }
  }

  private lensFailed(problem: Problem): void {
    this.hint.textContent = this.say(wordsOfProblem(problem));
    this.app.notices.tell(this.say(wordsOfProblem(problem)), {
      label: this.say('retry'),
      run: () => void this.openLens(),
    });
  }

  private async startScanner(): Promise<void> {
    if (this.camera === null || this.app.lens.state.kind !== 'ready' || this.left) return;
    const recogniser = await this.app.lens.ready();
    this.scanner ??= new Scanner(this.video, recogniser, {
      answer: (answer, atMs) => this.answered(answer, atMs),
      failed: (problem) => this.lensFailed(problem),
    });
    if (!document.hidden) this.scanner.start();
  }

  private answered(answer: SteadyAnswer, atMs: number): void {
    const { watch, shown } = decide(this.watch, answer, atMs);
    this.watch = watch;
    this.candidates = answer.top.map(({ index }) => index);
    this.similar.hidden = shown.kind !== 'unknown';
    this.askingUnknown.element.hidden = shown.kind !== 'unknown' || !this.sendsPhotos;
    if (this.isSending) return;
    if (shown.kind === 'product') this.showProduct(shown, atMs);
    else if (shown.kind === 'unsure' && !this.sheet.isOpen) this.showCandidates(shown.candidates, this.frame());
    else this.tell(HINTS[shown.kind]);
  }

  private showProduct({ index, confidence }: Shown & { kind: 'product' }, atMs: number): void {
    const label = this.label(index);
    if (label === undefined) return;
    const key = keyOf(label);
    const id = savedId(key);
    if (this.isDismissed(id, atMs)) return;
    // Digits with a check are surer than a look; who turns the pack over wants the look again.
    if (this.sheet.isOpen && atMs - this.barcodeAtMs < BARCODE_HOLDS_MS) return;
    if (this.isShown(id)) return;
    const named = { name: this.nameOf(label), ...(this.isTrained(index) ? { confidence } : {}) };
    this.show(key, this.seen(index, this.candidates), named);
  }

  private showBarcode(barcode: string, frame: ImageBitmap | null): void {
    if (this.isSending) return;
    const atMs = performance.now();
    const key = { barcodes: [barcode] };
    const id = savedId(key);
    if (this.isDismissed(id, atMs)) return;
    this.barcodeAtMs = atMs;
    if (this.isShown(id)) return;
    this.show(key, frame === null ? null : { picture: keptFrame(frame), shown: barcode, candidates: [] });
  }

  /** Somebody closed its card, and it has been in view ever since. */
  private isDismissed(id: string, atMs: number): boolean {
    if (this.dismissed?.id !== id || atMs - this.dismissed.atMs >= SEEN_GAP_MS) return false;
    this.dismissed = { id, atMs };
    return true;
  }

  private isShown(id: string): boolean {
    return this.sheet.isOpen && id === this.shownId;
  }

  private show(key: ProductKey, asked: Asked | null = null, named: Named = {}): void {
    const id = savedId(key);
    if (this.isShown(id)) return;
    this.shownId = id;
    this.calm.answered();
    this.card?.end();
    const card = new AnswerCard(this.app, { key, heading: 'h2', ...named });
    this.card = card;
    this.sheet.open(false, card.element, this.askingFor(asked));
    if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(30);
    void card.load().then(() => this.app.saved.addScan(card.key, card.name)).catch(() => undefined);
  }

  private showCandidates(indexes: readonly number[], picture: Source | null): void {
    const { speech } = this.app;
    const rows = indexes.flatMap((index) => {
      const label = this.label(index);
      if (label === undefined) return [];
      return [productRow(speech, this.nameOf(label), `#/product/${pathOfKey(keyOf(label))}`, [], '')];
    });
    const none = button(this.say('scanNone'), () => this.sheet.close(), 'plain');
    const asking = this.askingFor(picture === null ? null : { picture, shown: null, candidates: indexes });
    this.shownId = '';
    this.calm.answered();
    this.sheet.open(true, el('h2', {}, this.say('scanCandidates')), el('ul', { class: 'rows' }, ...rows), none, asking);
  }

  /** The camera's picture of now, where somebody may want to send it. */
  private frame(): Source | null {
    return this.sendsPhotos ? frameOf(this.video) : null;
  }

  private seen(shown: number | null, candidates: readonly number[]): Asked | null {
    const picture = this.frame();
    return picture === null ? null : { picture, shown, candidates };
  }

  private askingFor(asked: Asked | null): HTMLElement | null {
    this.asked = this.sendsPhotos ? asked : null;
    return this.asked === null ? null : this.asking.element;
  }

  /** Show the picture and what would go with it; the camera goes on after that. */
  private askToSend(asked: Asked | null): void {
    const { offer } = this.app.feedback;
    const by = asked === null ? null : this.answeredBy(asked);
    if (asked === null || offer === null || by === null) return;
    const { picture, shown } = asked;
    const choices = asked.candidates.flatMap((one) => this.choice(one) ?? []);
    const answer = typeof shown === 'string' ? this.choiceOfBarcode(shown) : shown === null ? null : this.choice(shown);
    this.card?.end();
    this.card = null;
    const form = feedbackForm(this.app, { picture, answer, choices, by }, offer, () => this.sheet.close());
    this.sheet.open(true, form);
    form.querySelector('h2')?.focus();
  }

  private choice(index: number): Choice | null {
    const label = this.label(index);
    return label === undefined ? null : { id: label.item_id, name: this.nameOf(label) };
  }

  /** Which recogniser, or that it was none; null while there is none yet. */
  private answeredBy({ shown }: Asked): string | null {
    if (typeof shown === 'string') return BY_BARCODE;
    const { state } = this.app.lens;
    return state.kind === 'ready' ? `${state.opened.bundleId} ${state.opened.version}` : null;
  }

  /** The product as the recogniser calls it, so that what is sent can be taught; else the digits. */
  private choiceOfBarcode(barcode: string): Choice {
    const { state } = this.app.lens;
    const label = state.kind === 'ready' ? productWith(state.opened, barcode) : undefined;
    return { id: label?.item_id ?? barcode, name: this.card?.name ?? barcode };
  }

  /** Nothing that the camera sees takes the place of a form that somebody fills in. */
  private get isSending(): boolean {
    return this.sheet.isOpen && this.sheet.element.querySelector('.feedback') !== null;
  }

  private sheetClosed(): void {
    this.asked = null;
    this.card?.end();
    this.card = null;
    this.dismissed = { id: this.shownId, atMs: performance.now() };
    this.shownId = '';
    this.watch = null;
    void this.startScanner();
  }

  private sheetRaised(whole: boolean): void {
    if (whole) this.scanner?.stop();
    else void this.startScanner();
  }

  private async lookAtPhoto(file: Blob): Promise<void> {
    // What was said of the last photo is not true of this one.
    this.endPhotoNote();
    this.tell('scanLooking');
    try {
      const barcode = await barcodeIn(file);
      if (barcode !== null) {
        this.show({ barcodes: [barcode] }, { picture: file, shown: barcode, candidates: [] });
        return;
      }
      const recogniser = await this.app.lens.ready();
      this.photoAnswered(await recogniser.recognise(file), file);
    } catch (error) {
      this.app.notices.tell(this.say(wordsOfProblem(asProblem(error))));
      this.tell('scanHint');
    }
  }

  private photoAnswered(answer: Recognition, picture: Blob): void {
    const index = answer.top[0]?.index ?? -1;
    const label = this.label(index);
    const candidates = answer.top.map((one) => one.index);
    this.shownId = '';
    const byGallery = answer.by === 'gallery';
    if (answer.known && (byGallery || answer.confidence >= 0.5) && label !== undefined) {
      const asked = { picture, shown: index, candidates };
      const named = { name: this.nameOf(label), ...(byGallery ? {} : { confidence: answer.confidence }) };
      this.show(keyOf(label), asked, named);
      return;
    }
    if (!answer.known) this.endPhotoNote = this.app.notices.tell(this.say('photoUnknown'));
    this.showCandidates(candidates, picture);
  }

  private async takePhoto(): Promise<void> {
    if (this.camera === null || this.video.videoWidth === 0) {
      await this.openCamera();
      return;
    }
    const canvas = el('canvas', { width: this.video.videoWidth, height: this.video.videoHeight });
    canvas.getContext('2d')?.drawImage(this.video, 0, 0);
    const photo = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/png'));
    if (photo !== null) await this.lookAtPhoto(photo);
  }

  private askBarcode(): void {
    const wrong = el('p', { class: 'stale', role: 'alert', hidden: true }, this.say('barcodeWrong'));
    const input = el('input', { id: 'barcode', inputmode: 'numeric', autocomplete: 'off', maxlength: 20, class: 'field' });
    const find = (event: Event): void => {
      event.preventDefault();
      const barcode = readBarcode(input.value);
      wrong.hidden = barcode !== null;
      if (barcode === null) return;
      this.shownId = '';
      this.show({ barcodes: [barcode] });
    };
    const form = el(
      'form',
      { class: 'stack', onsubmit: find },
      el('label', { for: 'barcode' }, el('h2', {}, this.say('barcodePrompt'))),
      input,
      wrong,
      el('button', { class: 'button main', type: 'submit' }, icon('find'), this.say('barcodeFind')),
    );
    this.shownId = '';
    this.sheet.open(true, form);
    input.focus();
  }

  private async toggleTorch(): Promise<void> {
    const wanted = !this.torchOn;
    if (await this.camera?.setTorch(wanted)) this.torchOn = wanted;
    this.torch.setAttribute('aria-pressed', String(this.torchOn));
    this.torch.classList.toggle('on', this.torchOn);
  }

  private focusAt(event: MouseEvent): void {
    const box = this.video.getBoundingClientRect();
    void this.camera?.focusOn((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }

  private visibilityChanged(): void {
    if (document.hidden) this.scanner?.stop();
    else if (!this.element.querySelector('.sheet.whole:not([hidden])')) void this.startScanner();
  }

  private label(index: number): Label | undefined {
    const { state } = this.app.lens;
    return state.kind === 'ready' ? productAt(state.opened, index) : undefined;
  }

  /** Of the classifier; a cosine of the gallery is no probability. */
  private isTrained(index: number): boolean {
    const { state } = this.app.lens;
    return state.kind === 'ready' && index < state.opened.labels.length;
  }

  private nameOf(label: Label): string {
    const name = this.app.speech.language === 'ko' ? label.name_ko : label.name_en;
    return name === '' ? label.label : name;
  }

  private tell(name: TextName): void {
    const words = this.say(name);
    if (this.hint.textContent !== words) this.hint.textContent = words;
  }

  private say(name: TextName): string {
    return this.app.speech.say(name);
  }
}

const HINTS = {
  looking: 'scanHint',
  steady: 'scanSteady',
  unknown: 'scanUnknown',
  unsure: 'scanSteady',
} as const satisfies Record<Exclude<Shown['kind'], 'product'>, TextName>;

function keyOf(label: Label): ProductKey {
  return { barcodes: label.barcodes, label: label.label };
}

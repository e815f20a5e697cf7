/** Measures this phone and shows the figures as JSON that can be shared. */
import type { App } from '../app.ts';
import { asProblem } from '../bundle/problem.ts';
import { longTasks } from '../long_tasks.ts';
import { hasWebGpuAdapter } from '../recognition/accelerate.ts';
import type { Figures } from '../recognition/figures.ts';
import type { Measurement } from '../recognition/protocol.ts';
import { fieldReport, rounded, type Device } from '../report.ts';
import type { Page } from '../router.ts';
import { el, fill } from '../ui/dom.ts';
import { button, iconButton, message, pageHead } from '../ui/pieces.ts';
import { share } from '../ui/sharing.ts';
import { wordsOfProblem } from '../ui/words.ts';

const RUNS = 50;
const [WIDTH, HEIGHT] = [640, 480];
const TILE = { width: 80, height: 60 };

export function reportPage(app: App): Page {
  const { speech } = app;
  const result = el('div', { class: 'stack' });
  const run = async (): Promise<void> => {
    fill(result, el('p', { role: 'status' }, speech.say('reportRunning')));
    try {
      const recogniser = await app.lens.ready();
      const measured = await recogniser.measure(await testPicture(), RUNS);
      const report = fieldReport(await device(), recogniser.opened, measured, {
        app_version: app.appVersion,
        made_at: new Date(app.clock.now()).toISOString(),
        long_tasks_ms: longTasks(),
      });
      fill(result, ...shown(app, measured, JSON.stringify(report, null, 2)));
    } catch (error) {
      fill(result, message('warning', speech.say(wordsOfProblem(asProblem(error))), ''));
    }
  };
  const element = el(
    'div',
    { class: 'page narrow' },
    el('div', { class: 'page-bar' }, iconButton('back', speech.say('back'), () => history.back())),
    pageHead(speech.say('reportTitle')),
    el('p', {}, speech.say('reportIntro')),
    button(speech.say('reportStart'), () => void run()),
    result,
  );
  return { title: speech.say('reportTitle'), element };
}

function shown(app: App, measured: Measurement, json: string): readonly HTMLElement[] {
  const { speech, notices } = app;
  const row = (name: string, { medianMs, p90Ms }: Figures): HTMLElement =>
    el('tr', {}, el('th', { scope: 'row' }, name), el('td', {}, `${rounded(medianMs)} ms`), el('td', {}, `${rounded(p90Ms)} ms`));
  const head = el('tr', {}, el('td'), el('th', { scope: 'col' }, speech.say('reportMedian')), el('th', { scope: 'col' }, speech.say('reportP90')));
  const copy = (): void => {
    navigator.clipboard.writeText(json).then(
      () => notices.tell(speech.say('reportCopied')),
      () => notices.tell(speech.say('shareFailed')),
    );
  };
  return [
    el(
      'table',
      { class: 'figures' },
      el('thead', {}, head),
      el(
        'tbody',
        {},
        row(speech.say('reportPre'), measured.preprocess),
        row(speech.say('reportInference'), measured.inference),
        row(speech.say('reportTotal'), measured.total),
      ),
    ),
    el('p', {}, `${speech.say('reportGolden')}: ${speech.say('reportPassed')}`),
    el(
      'div',
      { class: 'actions' },
      button(speech.say('reportShare'), () => void share(app, { title: 'promolens', text: json })),
      button(speech.say('reportCopy'), copy, 'plain'),
    ),
    el('pre', { class: 'json', tabindex: 0 }, json),
  ];
}

/** Always the same picture, so that phones can be compared. */
async function testPicture(): Promise<ImageBitmap> {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const pen = canvas.getContext('2d');
  for (let i = 0; pen !== null && i < 64; i += 1) {
    pen.fillStyle = `rgb(${(i * 37) % 256} ${(i * 91) % 256} ${(i * 151) % 256})`;
    pen.fillRect((i % 8) * TILE.width, Math.floor(i / 8) * TILE.height, TILE.width, TILE.height);
  }
  return canvas.transferToImageBitmap();
}

async function device(): Promise<Device> {
  const { deviceMemory } = navigator as { deviceMemory?: number };
  return {
    user_agent: navigator.userAgent,
    platform: navigator.platform,
    cores: navigator.hardwareConcurrency ?? null,
    memory_gib: deviceMemory ?? null,
    screen: `${screen.width}x${screen.height}`,
    pixel_ratio: devicePixelRatio,
    webgpu: await hasWebGpuAdapter(),
  };
}

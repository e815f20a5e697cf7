/** The recognition worker: a classic one, since LiteRT.js loads its runtime with importScripts. */
import { asProblem, Problem } from '../bundle/problem.ts';
import type { Reply, Request } from './protocol.ts';
import { Session } from './session.ts';

interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply): void;
}

const scope = self as unknown as WorkerScope;
let session: Session | undefined;
// One thing at a time: LiteRT.js is not made for two runs at once.
let turn: Promise<void> = Promise.resolve();

scope.onmessage = ({ data: request }) => {
  turn = turn.then(() => reply(request));
};

async function reply(request: Request): Promise<void> {
  const { id } = request;
  try {
    scope.postMessage({ id, kind: 'result', result: await carryOut(request) });
  } catch (error) {
    const { code, detail } = asProblem(error);
    scope.postMessage({ id, kind: 'problem', code, detail });
  }
}

async function carryOut(request: Request): Promise<unknown> {
  const progress = (loadedBytes: number): void =>
    scope.postMessage({ id: request.id, kind: 'progress', loadedBytes });
  switch (request.call) {
    case 'open':
      session = await Session.open(request.options, progress);
      return session.opened;
    case 'recognise':
      return opened().recognise(request.options.picture, request.options.wantTensor);
    case 'update':
      return opened().update(request.options.bundleUrl, progress);
    case 'updateGallery':
      return opened().updateGallery(request.options.galleryUrl, progress);
    case 'measure':
      return opened().measure(request.options.picture, request.options.runs);
    case 'forget':
      await opened().forget();
      return null;
  }
}

function opened(): Session {
  if (session === undefined) throw new Problem('not-open', 'Open a bundle first.');
  return session;
}

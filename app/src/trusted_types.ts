/** With Trusted Types on, the browser itself refuses HTML from strings; only own scripts may be loaded. */
interface Rules {
  createScriptURL(address: string): string;
  createHTML(html: string): string;
}

interface PolicyFactory {
  createPolicy(name: string, rules: Rules): unknown;
}

/** Leaflet asks once whether this browser draws SVG within HTML. Nobody else hands HTML over as text. */
const KNOWN_HTML = ['', '<svg/>'];

export function allowOwnScripts(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: PolicyFactory };
  trustedTypes?.createPolicy('default', { createScriptURL: ownScript, createHTML: knownHtml });
}

function ownScript(address: string): string {
  const url = new URL(address, document.baseURI);
  const folder = new URL('./', document.baseURI);
  if (url.origin === folder.origin && url.pathname.startsWith(folder.pathname)) return url.href;
  throw new TypeError(`Expected a script of this app. Received ${url.origin}.`);
}

function knownHtml(html: string): string {
  if (KNOWN_HTML.includes(html)) return html;
  throw new TypeError('Expected elements. Received HTML as text.');
}

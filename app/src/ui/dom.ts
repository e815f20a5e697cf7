/** Elements made of parts; text is always text and never read as HTML. */
export type Child = Node | string | number | null | undefined | false;
type Listener = (event: Event) => void;
export type Props = Readonly<Record<string, string | number | boolean | Listener | undefined>>;

/** `el('button', {class: 'x', onclick: f, hidden: true}, 'text', child)`. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(made, name, value);
  append(made, children);
  return made;
}

export function append(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(typeof child === 'object' ? child : document.createTextNode(String(child)));
  }
}

/** Put `children` in place of everything in `parent`. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

function setProp(made: Element, name: string, value: Props[string]): void {
  if (value === undefined || value === false) return;
  if (typeof value === 'function') made.addEventListener(name.replace(/^on/, ''), value);
  else made.setAttribute(name, value === true ? '' : String(value));
}

/** Addresses that a link may have: this app's own, and maps and calls of the phone. */
export function safeLink(address: string): string | undefined {
  return /^(#|geo:|tel:|https:\/\/)/.test(address) ? address : undefined;
}

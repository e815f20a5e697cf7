/** Pages by the part of the address behind #, so that they work below any folder and without a server. */
export interface Page {
  readonly title: string;
  readonly element: HTMLElement;
  /** Let go of the camera, timers and listeners. */
  leave?(): void;
}

export interface Route {
  readonly name: string;
  readonly argument: string;
}

/** `#/product/item-53` is the page `product` with the argument `item-53`. */
export function readRoute(hash: string): Route {
  const [name = '', ...rest] = hash.replace(/^#?\/?/, '').split('/');
  return { name: name === '' ? 'scan' : name, argument: rest.join('/') };
}

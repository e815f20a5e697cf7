/** The app's signs, drawn for it: lines on a field of 24 by 24. */
const SVG = 'http://www.w3.org/2000/svg';

const LINES = {
  scan: 'M4 8V5a1 1 0 0 1 1-1h3M16 4h3a1 1 0 0 1 1 1v3M20 16v3a1 1 0 0 1-1 1h-3M8 20H5a1 1 0 0 1-1-1v-3M4 12h16',
  find: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M15.5 15.5 20 20',
  store: 'M4 10v9a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-9M3 9l2-5h14l2 5a3 3 0 0 1-6 0 3 3 0 0 1-6 0 3 3 0 0 1-6 0M9.500 20v-5h5v5',
  star: 'M12 4l2.500 5.200 5.700.800-4.100 4 1 5.600-5.100-2.700-5.100 2.700 1-5.600-4.100-4 5.700-.800z',
  gear: 'M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6M12 3v3M12 18v3M3 12h3M18 12h3M5.600 5.600l2.200 2.200M16.200 16.200l2.200 2.200M18.400 5.600l-2.200 2.200M7.800 16.200l-2.200 2.200',
  torch: 'M13 3 6 13h5l-1 8 8-11h-5z',
  picture: 'M5 4h14a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1M4.500 17l5-5 3.500 3.500 2.500-2.500 4.500 4M15.500 8h.010',
  camera: 'M4 8h3.500L9 5.500h6L16.500 8H20a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1M12 10a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7',
  barcode: 'M4 6v12M7 6v12M10 6v12M12.500 6v12M16 6v12M20 6v12',
  close: 'M6 6l12 12M18 6 6 18',
  back: 'M14.500 5 8 12l6.500 7',
  share: 'M12 15V4M8 7.500 12 4l4 3.500M5 13v6a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1v-6',
  pin: 'M12 21s-6.500-6-6.500-11a6.500 6.500 0 1 1 13 0c0 5-6.500 11-6.500 11M12 7.800a2.200 2.200 0 1 1 0 4.400 2.200 2.200 0 0 1 0-4.400',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  target: 'M12 5a7 7 0 1 1 0 14 7 7 0 0 1 0-14M12 2v4M12 18v4M2 12h4M18 12h4',
  warning: 'M12 4 2.800 20h18.400zM12 10v4.500M12 17.300h.010',
  clock: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 8v4.500l3 2',
  gift: 'M4 11h16v8a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1zM3.500 7.500h17V11h-17zM12 7.500V20M12 7.500c-1.500-4-6-4-5-1.200.500 1.200 3 1.200 5 1.200M12 7.500c1.500-4 6-4 5-1.200-.500 1.200-3 1.200-5 1.200',
  tag: 'M4 4h7.500L20 12.500 12.500 20 4 11.500zM8 8h.010',
  next: 'M9.500 5 16 12l-6.500 7',
} as const;

export type IconName = keyof typeof LINES;

/** A sign beside words; whoever cannot see it misses nothing. */
export function icon(name: IconName, extra = ''): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon ${extra}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', LINES[name]);
  svg.append(path);
  return svg;
}

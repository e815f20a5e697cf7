/** The chains, as an explicit table. */
export const CHAINS = ['cu', 'gs25', 'seven', 'emart24', 'cspace', 'ministop'] as const;
export type Chain = (typeof CHAINS)[number];

export interface ChainInfo {
  readonly name_ko: string;
  readonly name_en: string;
  /** The chain whose stores answer for it. */
  readonly storesOf: Chain;
}

export const CHAIN_INFO: Readonly<Record<Chain, ChainInfo>> = {
  cu: { name_ko: 'CU', name_en: 'CU', storesOf: 'cu' },
  gs25: { name_ko: 'GS25', name_en: 'GS25', storesOf: 'gs25' },
  seven: { name_ko: '세븐일레븐', name_en: '7-Eleven', storesOf: 'seven' },
  emart24: { name_ko: '이마트24', name_en: 'emart24', storesOf: 'emart24' },
  cspace: { name_ko: '씨스페이스', name_en: 'C-Space', storesOf: 'cspace' },
  ministop: { name_ko: '미니스톱', name_en: 'Ministop', storesOf: 'seven' },
};

export function isChain(text: unknown): text is Chain {
  return CHAINS.some((chain) => chain === text);
}

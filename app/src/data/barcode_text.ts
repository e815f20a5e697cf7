/** Barcodes as a person types them or a camera reads them. */

/** EAN-13, EAN-8 or UPC-A with a right check digit, as the catalog spells it; null for another. */
export function readBarcode(typed: string): string | null {
  const digits = typed.replace(/[\s-]/g, '');
  if (!/^(\d{8}|\d{12}|\d{13})$/.test(digits)) return null;
  const sum = [...digits].reverse().reduce((total, digit, i) => total + Number(digit) * (i % 2 ? 3 : 1), 0);
  if (sum % 10 !== 0) return null;
  return digits.length === 12 ? `0${digits}` : digits;
}

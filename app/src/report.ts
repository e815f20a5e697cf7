/** What this phone manages, for people who build the app: no picture and no place in it. Pure. */
import type { Measurement, Opened } from './recognition/protocol.ts';

export const REPORT_FORMAT = 'promolens-field-report';
export const REPORT_VERSION = 1;

export interface Device {
  readonly user_agent: string;
  readonly platform: string;
  readonly cores: number | null;
  readonly memory_gib: number | null;
  readonly screen: string;
  readonly pixel_ratio: number;
  readonly webgpu: boolean;
}

export function fieldReport(
  device: Device,
  opened: Opened,
  measured: Measurement,
  more: { readonly app_version: string; readonly made_at: string; readonly long_tasks_ms: readonly number[] },
): object {
  return {
    format: REPORT_FORMAT,
    format_version: REPORT_VERSION,
    ...more,
    device,
    model: {
      bundle_id: opened.bundleId,
      version: opened.version,
      input_px: opened.inputPx,
      accelerator: opened.accelerator,
      golden: opened.golden,
      exact_pixels: opened.exactPixels,
      open_ms: rounded(opened.openMs),
    },
    runs: measured.runs,
    picture_px: [measured.width, measured.height],
    preprocess_ms: figures(measured.preprocess),
    inference_ms: figures(measured.inference),
    total_ms: figures(measured.total),
    bare_inference_ms: figures(measured.bareInference),
    total_to_bare: rounded(measured.ratio),
  };
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function figures({ medianMs, p90Ms }: { medianMs: number; p90Ms: number }): object {
  return { median: rounded(medianMs), p90: rounded(p90Ms) };
}

/** WebGPU is taken only where an adapter exists, the golden check passes, and it is faster. */
import { asProblem, Problem } from '../bundle/problem.ts';
import { Recogniser, type RecogniserOptions } from './recogniser.ts';
import type { Accelerator } from './model.ts';

/** It must be clearly faster, since it costs a second runtime and warms the phone. */
export const FASTER_BY = 1.25;

export interface Trial {
  readonly chosen: Accelerator;
  readonly wasmMs: number;
  /** null where WebGPU was not tried to the end; `problem` says why. */
  readonly webgpuMs: number | null;
  readonly problem: Problem | null;
}

export function chooseAccelerator(wasmMs: number, webgpuMs: number | null): Accelerator {
  return webgpuMs !== null && webgpuMs * FASTER_BY <= wasmMs ? 'webgpu' : 'wasm';
}

export async function hasWebGpuAdapter(): Promise<boolean> {
  try {
    return ((await navigator.gpu?.requestAdapter()) ?? null) !== null;
  } catch {
    return false;
  }
}

/**
 * Open a second worker with WebGPU, compare it with `wasm`, and close it again. Costs a second
 * runtime (about 2.3 MB compressed), so call it when the network is free and remember `chosen`.
 */
export async function tryWebGpu(wasm: Recogniser, options: RecogniserOptions): Promise<Trial> {
  const wasmMs = wasm.opened.inferenceMs;
  try {
    if (!(await hasWebGpuAdapter())) {
      throw new Problem('accelerator-absent', 'This browser offers no WebGPU adapter.');
    }
    const trial = await Recogniser.open({ ...options, accelerator: 'webgpu' });
    const webgpuMs = trial.opened.inferenceMs;
    trial.close();
    return { chosen: chooseAccelerator(wasmMs, webgpuMs), wasmMs, webgpuMs, problem: null };
  } catch (error) {
    return { chosen: 'wasm', wasmMs, webgpuMs: null, problem: asProblem(error) };
  }
}

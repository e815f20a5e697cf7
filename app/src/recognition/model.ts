/** The network, run by the manifest's tensor names with LiteRT.js. */
import {
  Environment,
  Tensor,
  getWebGpuDevice,
  loadAndCompile,
  loadLiteRt,
  setWebGpuDevice,
  type CompiledModel,
  type SignatureRunner,
} from '@litertjs/core';
import type { ModelEntry, TensorSpec } from '../bundle/manifest.ts';
import { asProblem, Problem } from '../bundle/problem.ts';

export type Accelerator = 'wasm' | 'webgpu';
export type Outputs = ReadonlyMap<string, Float32Array>;

export interface Engine {
  readonly accelerator: Accelerator;
  readonly environment: Environment;
}

/**
 * Load the runtime from `wasmUrl`, a folder of this origin that ends with a slash. LiteRT.js takes
 * the build with relaxed SIMD where the browser has that, else the compatible one. Once a worker.
 */
export async function loadEngine(wasmUrl: string, accelerator: Accelerator): Promise<Engine> {
  const gpu = accelerator === 'webgpu' ? await adapterDevice() : null;
  const quiet = (line: string): void => console.debug(line);
  // Without locateFile the glue code looks for its .wasm beside the worker; without the printers it
  // reports every step as an error.
  const glue = { locateFile: (file: string) => wasmUrl + file, print: quiet, printErr: quiet };
  Object.assign(globalThis, { Module: glue });
  try {
    await loadLiteRt(wasmUrl, { jspi: gpu !== null });
  } catch (error) {
    throw asProblem(error, 'engine-unavailable');
  }
  return { accelerator, environment: environmentFor(gpu) };
}

export class Network {
  private constructor(
    private readonly compiled: CompiledModel,
    private readonly runner: SignatureRunner,
    private readonly entry: ModelEntry,
    private readonly environment: Environment,
  ) {}

  /** Compile `model` (the bytes that were hashed) and compare its tensors. Throws Problem. */
  static async open(model: Uint8Array, entry: ModelEntry, engine: Engine): Promise<Network> {
    let compiled: CompiledModel;
    try {
      compiled = await loadAndCompile(model, engine);
    } catch (error) {
      throw asProblem(error, 'model-refused');
    }
    const runner = compiled.signatures[entry.signature];
    if (runner === undefined) {
      compiled.delete();
      throw new Problem('model-differs', `Expected a signature ${entry.signature}. Received none.`);
    }
    try {
      checkTensors(runner.getInputDetails(), entry.inputs, 'input');
      checkTensors(runner.getOutputDetails(), entry.outputs, 'output');
    } catch (error) {
      compiled.delete();
      throw error;
    }
    return new Network(compiled, runner, entry, engine.environment);
  }

  /** Every output by name for one picture, uint8 as the first input wants it. */
  async run(picture: Uint8Array): Promise<Outputs> {
    const [input] = this.entry.inputs;
    const shape = [...(input?.shape ?? [])];
    // LiteRT.js' types know only arrays over an ArrayBuffer; a SharedArrayBuffer never comes here.
    const tensor = new Tensor(picture as Uint8Array<ArrayBuffer>, shape, this.environment);
    let outputs: Record<string, Tensor> = {};
    try {
      outputs = await this.runner.run({ [input?.name ?? '']: tensor });
      const answers = new Map<string, Float32Array>();
      for (const { name } of this.entry.outputs) {
        answers.set(name, Float32Array.from((await outputs[name]?.data()) ?? []));
      }
      return answers;
    } finally {
      tensor.delete();
      for (const output of Object.values(outputs)) output.delete();
    }
  }

  close(): void {
    this.compiled.delete();
  }
}

async function adapterDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Problem('accelerator-absent', 'This browser offers no WebGPU adapter.');
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } =
    adapter.limits;
  return adapter.requestDevice({
    requiredFeatures: (['shader-f16'] as const).filter((name) => adapter.features.has(name)),
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
  });
}

/** LiteRT.js opens a GPU device of its own while it loads; WebAssembly needs none. */
function environmentFor(gpu: GPUDevice | null): Environment {
  getWebGpuDevice()?.destroy();
  if (gpu !== null) setWebGpuDevice(gpu);
  return new Environment({ webGpuDevice: gpu });
}

interface Details {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Int32Array;
}

function checkTensors(
  found: readonly Details[],
  wanted: readonly TensorSpec[],
  kind: string,
): void {
  const words = (name: string, dtype: string, shape: Iterable<number>): string =>
    `${name} ${dtype} [${[...shape].join(', ')}]`;
  const expected = wanted.map((spec) => words(spec.name, spec.dtype, spec.shape)).sort();
  const received = found.map((spec) => words(spec.name, spec.dtype, spec.shape)).sort();
  if (expected.join('; ') === received.join('; ')) return;
  throw new Problem(
    'model-differs',
    `Expected ${kind}s ${expected.join('; ')}. Received ${received.join('; ')}.`,
  );
}

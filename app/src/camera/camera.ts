/** The rear camera, its light and its focus. */
export const CAMERA_CODES = [
  'camera-refused',
  'camera-absent',
  'camera-taken',
  'camera-insecure',
  'camera-lost',
  'camera-failed',
] as const;
export type CameraCode = (typeof CAMERA_CODES)[number];

export class CameraProblem extends Error {
  override readonly name = 'CameraProblem';

  constructor(
    readonly code: CameraCode,
    detail: string,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** Names of DOMException that getUserMedia rejects with. */
const CODES: Readonly<Record<string, CameraCode>> = {
  NotAllowedError: 'camera-refused',
  PermissionDeniedError: 'camera-refused',
  SecurityError: 'camera-refused',
  NotFoundError: 'camera-absent',
  DevicesNotFoundError: 'camera-absent',
  OverconstrainedError: 'camera-absent',
  NotReadableError: 'camera-taken',
  TrackStartError: 'camera-taken',
  AbortError: 'camera-taken',
};

/** More pixels cost time in each frame, and the network sees a tenth of these. */
const WANTED: MediaStreamConstraints = {
  audio: false,
  video: { facingMode: { ideal: 'environment' }, width: { ideal: 640 }, height: { ideal: 480 } },
};

/** What browsers say and ask beyond the standard types. */
interface MoreCapabilities {
  readonly torch?: boolean;
  readonly focusMode?: readonly string[];
}

export function cameraProblem(error: unknown): CameraProblem {
  if (error instanceof CameraProblem) return error;
  const name = error instanceof DOMException || error instanceof Error ? error.name : '';
  return new CameraProblem(CODES[name] ?? 'camera-failed', String(error));
}

/** Whether the camera may be turned on without a question; null where the browser does not say. */
export async function cameraAllowed(): Promise<boolean | null> {
  try {
    const { state } = await navigator.permissions.query({ name: 'camera' as PermissionName });
    return state === 'granted' ? true : state === 'denied' ? false : null;
  } catch {
    return null;
  }
}

export class Camera {
  private constructor(
    private readonly stream: MediaStream,
    private readonly track: MediaStreamTrack,
  ) {}

  /** Show the camera in `video`; `lost` is called when it goes away. Throws CameraProblem. */
  static async open(video: HTMLVideoElement, lost: () => void): Promise<Camera> {
    if (!window.isSecureContext || navigator.mediaDevices === undefined) {
      throw new CameraProblem('camera-insecure', location.protocol);
    }
    let stream: MediaStream | undefined;
    try {
      stream = await navigator.mediaDevices.getUserMedia(WANTED);
      const track = stream.getVideoTracks()[0];
      if (track === undefined) throw new CameraProblem('camera-absent', 'no video in the stream');
      track.addEventListener('ended', lost);
      video.srcObject = stream;
      await video.play();
      return new Camera(stream, track);
    } catch (error) {
      for (const track of stream?.getTracks() ?? []) track.stop();
      throw cameraProblem(error);
    }
  }

  close(video: HTMLVideoElement): void {
    for (const track of this.stream.getTracks()) track.stop();
    video.srcObject = null;
  }

  get hasTorch(): boolean {
    return this.capabilities.torch === true;
  }

  async setTorch(on: boolean): Promise<boolean> {
    return this.apply({ torch: on });
  }

  /** Focus on a place of the picture, 0 to 1 from left and top, where the browser offers it. */
  async focusOn(x: number, y: number): Promise<boolean> {
    const modes = this.capabilities.focusMode ?? [];
    const mode = ['single-shot', 'continuous'].find((one) => modes.includes(one));
    return mode !== undefined && this.apply({ focusMode: mode, pointsOfInterest: [{ x, y }] });
  }

  private get capabilities(): MoreCapabilities {
    return (this.track.getCapabilities?.() ?? {}) as MoreCapabilities;
  }

  private async apply(more: Readonly<Record<string, unknown>>): Promise<boolean> {
    try {
      await this.track.applyConstraints({ advanced: [more as MediaTrackConstraintSet] });
      return true;
    } catch {
      return false;
    }
  }
}

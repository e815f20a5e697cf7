/** The time as the server sees it: a phone whose clock is wrong must not show last year's offers. */
import { DAY_MS, daysBetween, koreanDay } from './calendar.ts';

/** Days by which a clock may differ: around midnight, and with an answer kept for a while. */
const ALLOWED_DAYS = 1;

export class Clock {
  private wrongByDays = 0;

  constructor(private readonly device: () => number = Date.now) {}

  /** Milliseconds since 1970, put right by whole days where this device is wrong by some. */
  now(): number {
    return this.device() + this.wrongByDays * DAY_MS;
  }

  today(): string {
    return koreanDay(this.now());
  }

  /** Days that this device is behind; 0 for a clock that is right. */
  get behindDays(): number {
    return this.wrongByDays;
  }

  /** Take the server's Korean day as right. */
  learn(serverDay: string): void {
    const days = daysBetween(koreanDay(this.device()), serverDay);
    if (Number.isFinite(days)) this.wrongByDays = Math.abs(days) > ALLOWED_DAYS ? days : 0;
  }

  /** Take up what was learnt before, so that it also holds without a network. */
  restore(days: number): void {
    if (Number.isInteger(days)) this.wrongByDays = days;
  }
}

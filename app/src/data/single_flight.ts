/** Whoever asks for what is being fetched already waits for that. */
export class SingleFlight {
  private readonly flying = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const under = this.flying.get(key);
    if (under !== undefined) return under as Promise<T>;
    const flight = work().finally(() => this.flying.delete(key));
    this.flying.set(key, flight);
    return flight;
  }
}

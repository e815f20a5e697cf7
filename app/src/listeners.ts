/** Whoever wants to be told; `on` answers with how to stop it. */
export class Listeners<T> {
  private readonly all = new Set<(value: T) => void>();

  on(listener: (value: T) => void): () => void {
    this.all.add(listener);
    return () => this.all.delete(listener);
  }

  tell(value: T): void {
    for (const listener of [...this.all]) listener(value);
  }
}

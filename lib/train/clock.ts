/** Images a second, and the share of the time spent waiting for data, over a window of steps. */
export class Clock {
  private images = 0;
  private waited = 0;
  private since = performance.now();
  private readonly started = performance.now();
  private total = 0;

  /** Times the wait for data. */
  async wait<Result>(work: Promise<Result>): Promise<Result> {
    const begin = performance.now();
    const result = await work;
    this.waited += performance.now() - begin;
    return result;
  }

  add(images: number): void {
    this.images += images;
    this.total += images;
  }

  /** Reads the window and begins a new one. */
  lap(): { imagesPerSecond: number; dataWait: number } {
    const now = performance.now();
    const elapsed = Math.max(now - this.since, 1e-3);
    const result = {
      imagesPerSecond: (1000 * this.images) / elapsed,
      dataWait: this.waited / elapsed,
    };
    this.images = this.waited = 0;
    this.since = now;
    return result;
  }

  /** Images a second since the start. */
  get overall(): number {
    return (1000 * this.total) / Math.max(performance.now() - this.started, 1e-3);
  }
}

/** Tasks over 50 ms on the main thread, where the browser tells of them: the page stood still. */
const MOST = 200;
const seen: number[] = [];

export function watchLongTasks(): void {
  try {
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) if (seen.length < MOST) seen.push(Math.round(duration));
    });
    observer.observe({ type: 'longtask', buffered: true });
  } catch {
    return; // this browser does not tell
  }
}

export function longTasks(): readonly number[] {
  return [...seen];
}

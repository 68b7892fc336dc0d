/** The series of each number of a section: all of the first series, then all of the second. */
export function* oneByOne(counts: Int32Array): Iterable<number> {
  for (let one = 0; one < counts.length; one++) {
    for (let done = 0; done < counts[one]; done++) yield one;
  }
}

/**
 * The series of each number of a section, by time: number `j` of a series of `n` comes at the time
 * `(j + 1/2) / n`, and at the same time the earlier series comes first. In this order every prefix
 * of a file is a network.
 */
export function* interleaved(counts: Int32Array): Iterable<number> {
  const queue = new TimeQueue(counts);
  while (!queue.isEmpty) yield queue.next();
}

/** A heap of series by the time of their next number. */
class TimeQueue {
  private readonly done: Int32Array;
  private readonly heap: number[];

  constructor(private readonly counts: Int32Array) {
    this.done = new Int32Array(counts.length);
    this.heap = [...counts.keys()].filter((one) => counts[one] > 0);
    for (let place = (this.heap.length >> 1) - 1; place >= 0; place--) this.sink(place);
  }

  get isEmpty(): boolean {
    return this.heap.length === 0;
  }

  next(): number {
    const first = this.heap[0];
    if (++this.done[first] === this.counts[first]) {
      const last = this.heap.pop() as number;
      if (this.heap.length > 0) this.heap[0] = last;
    }
    this.sink(0);
    return first;
  }

  private sink(start: number): void {
    const { heap } = this;
    let place = start;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) return;
      if (child + 1 < heap.length && this.isBefore(heap[child + 1], heap[child])) child++;
      if (!this.isBefore(heap[child], heap[place])) return;
      [heap[place], heap[child]] = [heap[child], heap[place]];
      place = child;
    }
  }

  private isBefore(a: number, b: number): boolean {
    // Both products are below 2^46.
    const left = (2 * this.done[a] + 1) * this.counts[b];
    const right = (2 * this.done[b] + 1) * this.counts[a];
    return left === right ? a < b : left < right;
  }
}

import type { Reply, Tasks } from "./protocol.js";

/** How long a task may take, in milliseconds; behind that the worker is ended. */
const LONGEST = { expand: 30_000, hash: 30_000, load: 60_000, run: 60_000, time: 300_000 };

interface Waiting {
  readonly give: (value: never) => void;
  readonly refuse: (error: Error) => void;
  readonly timer: number;
}

/** A worker, which is started anew when it has broken or taken too long. */
export class Engine {
  private worker: Worker | undefined;
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  /** Has a task done. What it takes is copied. */
  ask<Task extends keyof Tasks>(
    task: Task,
    takes: Tasks[Task]["takes"],
  ): Promise<Tasks[Task]["gives"]> {
    const worker = (this.worker ??= this.started());
    const id = this.next++;
    return new Promise((give, refuse) => {
      const timer = setTimeout(() => {
        this.end(`It took longer than ${LONGEST[task] / 1000} seconds and was stopped.`);
      }, LONGEST[task]);
      this.waiting.set(id, { give, refuse, timer });
      worker.postMessage({ id, task, takes });
    });
  }

  /** Ends the worker, and refuses what it was doing. */
  end(why = "It was stopped."): void {
    this.worker?.terminate();
    this.worker = undefined;
    for (const { refuse, timer } of this.waiting.values()) {
      clearTimeout(timer);
      refuse(new Error(why));
    }
    this.waiting.clear();
  }

  private started(): Worker {
    const worker = new Worker("worker.js");
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.settle(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.end(`The runtime crashed: ${event.message || "it gave no reason"}.`);
    };
    return worker;
  }

  private settle({ id, gives, problem }: Reply): void {
    const one = this.waiting.get(id);
    if (!one) return;
    this.waiting.delete(id);
    clearTimeout(one.timer);
    if (problem === undefined) one.give(gives as never);
    else one.refuse(new Error(problem));
  }
}

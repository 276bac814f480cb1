/** Random choices that a printed seed repeats. */

/** The generator sfc32: small, and good enough to choose moments. */
export class Seeded {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = Uint32Array.of(seed, 0x9e37_79b9, seed ^ 0xdead_beef, 1);
    for (let round = 0; round < 16; round += 1) this.next();
  }

  /** 0 to 1, 1 excluded. */
  next(): number {
    const [a, b, c, counter] = this.#state as unknown as [number, number, number, number];
    const mixed = (a + b + counter) >>> 0;
    this.#state.set([b ^ (b >>> 9), c + (c << 3), ((c << 21) | (c >>> 11)) + mixed, counter + 1]);
    return mixed / 0x1_0000_0000;
  }

  /** A whole number from `min` on, below `end`. */
  between(min: number, end: number): number {
    return min + Math.floor(this.next() * (end - min));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length)]!;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items];
    const order: T[] = [];
    while (rest.length > 0) order.push(...rest.splice(this.between(0, rest.length), 1));
    return order;
  }

  /** `count` moments of a span of 1, one at random in each of its equal parts, in random order: none stays untried. */
  moments(count: number): number[] {
    return this.shuffled(Array.from({ length: count }, (_, part) => (part + this.next()) / count));
  }
}

/** Many trials in a row, planned by a seed: cases with every way, source, check and size, each killed at steps of its own. */
import { Seeded } from '../soak/seeded.ts';
import { type Case, allCases, nameOf } from './cases.ts';
import { type Step, StepTrials, type Verdict, stepName } from './trials.ts';

export interface Sweep {
  trials: number;
  /** Trials in which a process died at its step. */
  met: number;
  /** By the call that was died at, how often. */
  calls: Map<string, number>;
  /** In words, what was not as it must be. */
  wrong: string[];
}

/** Of all the steps that a write took those to die at: of each call the first, the last and one in between, shuffled. */
function chosenSteps(steps: readonly Step[], random: Seeded): Step[] {
  const chosen: Step[] = [];
  for (const call of new Set(steps.map((step) => step.call))) {
    const times = steps.filter((step) => step.call === call).length;
    for (const nth of new Set([1, times, random.between(1, times + 1)])) chosen.push({ call, nth });
  }
  return random.shuffled(chosen);
}

/**
 * `count` trials: of each case one that dies after its end, before that is reported, and `kills` that die at a step; one
 * in four dies at a second step as well, in its second attempt.
 */
export async function sweep(
  o: { seed: number; count: number; kills: number; cases?: (of: Case) => boolean },
  say: (line: string) => void = () => {},
): Promise<Sweep> {
  const random = new Seeded(o.seed);
  const cases = allCases(random).filter(o.cases ?? (() => true));
  const done: Sweep = { trials: 0, met: 0, calls: new Map(), wrong: [] };
  const note = (what: string, { met, wrong }: Verdict): void => {
    done.trials += 1;
    if (met.length > 0) done.met += 1;
    for (const { call } of met) done.calls.set(call, (done.calls.get(call) ?? 0) + 1);
    done.wrong.push(...wrong.map((each) => `${what}: ${each}`));
    say(`${what}: ${wrong.length === 0 ? 'right' : wrong.join('; ')}`);
  };
  const trials = await StepTrials.open();
  try {
    for (let turn = 0; done.trials < o.count; turn += 1) {
      const of = cases[turn % cases.length]!;
      const life = await trials.live(of);
      note(`${nameOf(of)}, finished and not reported`, life);
      for (const step of chosenSteps(life.steps, random).slice(0, o.kills)) {
        if (done.trials === o.count) break;
        const steps = random.next() < 0.25 ? [step, random.pick(life.steps)] : [step];
        note(`${nameOf(of)}, killed at ${steps.map(stepName).join(', then ')}`, await trials.kill(of, steps));
      }
    }
  } finally {
    await trials.close();
  }
  return done;
}

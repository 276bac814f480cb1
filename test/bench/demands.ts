/** What a run against another build is to keep to, as the command line says it: `--at-least` and `--at-most`. */
import type { RatioTarget } from './targets.ts';

/** Noise takes more than a hundredth. */
export const RATIO_MIN = 0.97;

/** Of one case, or of all that have none of their own. */
type Demand = Pick<RatioTarget, 'ratioMin' | 'cpuRatioMax' | 'figureRatioMax'>;

/** Why `text` is none, in the words of the option. */
const refusal = (option: string, text: string): Error =>
  new Error(`${option} takes ${option === '--at-least' ? '0.97 or bulk-4k=1.8' : 'small-4k:p99=0.5'}, not "${text}".`);

function ratioIn(option: string, text: string, given: string | undefined): number {
  const ratio = Number(given ?? NaN);
  if (!(ratio > 0)) throw refusal(option, text);
  return ratio;
}

/**
 * Reads `--at-least <ratio>` and `<case>=<ratio>` of rates, and `--at-most <case>:<figure>=<ratio>` of what else was seen:
 * the figure "cpu" is the CPU of all processes. Returns the target of each case. @throws if one makes no sense
 */
export function readDemands(
  atLeast: readonly string[],
  atMost: readonly string[],
  names: ReadonlySet<string>,
): (name: string) => RatioTarget {
  let ratioMin = RATIO_MIN;
  const demands = new Map<string, Partial<Demand>>();
  const demandOf = (option: string, text: string, name: string): Partial<Demand> => {
    if (!names.has(name)) throw new Error(`${option} ${text}: there is no bench ${name}.`);
    const demand = demands.get(name) ?? {};
    demands.set(name, demand);
    return demand;
  };
  for (const text of atLeast) {
    const [, name, ratio] = /^(?:([\w-]+)=)?([\d.]+)$/.exec(text) ?? [];
    const least = ratioIn('--at-least', text, ratio);
    if (name === undefined) ratioMin = least;
    else demandOf('--at-least', text, name).ratioMin = least;
  }
  for (const text of atMost) {
    const [, name = '', figure = '', ratio] = /^([\w-]+):([^=]+)=([\d.]+)$/.exec(text) ?? [];
    const most = ratioIn('--at-most', text, ratio);
    const demand = demandOf('--at-most', text, name);
    if (figure === 'cpu') demand.cpuRatioMax = most;
    else demand.figureRatioMax = { ...demand.figureRatioMax, [figure]: most };
  }
  return (name) => ({ promise: 'a change keeps the speed', ratioMin, cpuRatioMax: null, ...demands.get(name) });
}

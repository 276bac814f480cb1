/** A run as one SVG: a bar for each ratio, a mark where its target stands. Readable on light and on dark pages. */
import { init } from 'echarts';
import { type Outcome, type Paired, type Verdict, verdictOn } from '../outcome.ts';

const WIDTH = 920;
const ROW_HEIGHT = 44;
const FRAME_HEIGHT = 96;
/** Without a screen echarts only guesses how wide a text is: this holds the longest name of a peer. */
const LABEL_WIDTH = 370;

/** The page's own ink: an SVG shown as an image follows the reader's scheme. */
const INK = 'currentColor';
const STYLE =
  '<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}text{white-space:pre}</style>';

/** Of a luminance between white and black, so that they stand out from both. */
const COLORS: Readonly<Record<Verdict, string>> = {
  met: '#2f9e5b',
  missed: '#d9534f',
  shown: '#6b8fbf',
  skipped: '#8a8f98',
  failed: '#8a8f98',
};

/** The chart of all cases that ran beside a peer. */
export function renderChart(outcomes: readonly Outcome[], title: string): string {
  const rows = outcomes.filter((outcome) => outcome.kind === 'paired').toReversed(); // the axis begins at the bottom
  const chart = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: FRAME_HEIGHT + rows.length * ROW_HEIGHT,
  });
  try {
    chart.setOption(optionOf(rows, title));
    return chart.renderToSVGString().replace('>', `>${STYLE}`);
  } finally {
    chart.dispose();
  }
}

function optionOf(rows: readonly Paired[], title: string): Parameters<ReturnType<typeof init>['setOption']>[0] {
  const font = { color: INK, fontFamily: 'system-ui, sans-serif' };
  const twoLines = (align: 'left' | 'right'): Record<string, object> => ({
    strong: { ...font, fontSize: 13, fontWeight: 'bold', align },
    small: { ...font, fontSize: 11, align },
  });
  const axis = { type: 'category', axisTick: { show: false }, axisLine: { lineStyle: { color: INK } } } as const;
  return {
    animation: false,
    textStyle: font,
    title: {
      left: 8,
      text: title,
      subtext: "Rates as multiples of the peer's, medians. A thick mark is the least that is promised.",
      textStyle: { ...font, fontSize: 16 },
      subtextStyle: { ...font, fontSize: 12 },
    },
    grid: { left: LABEL_WIDTH, right: 72, top: 64, bottom: 32 },
    xAxis: {
      type: 'value',
      axisLabel: { ...font, formatter: '{value}x' },
      splitLine: { lineStyle: { color: INK, opacity: 0.15 } },
    },
    yAxis: [
      {
        ...axis,
        data: rows.map(({ name, peer }) => `{strong|${name}}\n{small|${peer}}`),
        axisLabel: { ...font, interval: 0, rich: twoLines('right') },
      },
      {
        ...axis,
        position: 'right',
        // The verdict in words: colour alone does not reach everybody.
        data: rows.map((row) => `{strong|${row.result.ratio.toFixed(2)}x}\n{small|${verdictOn(row)}}`),
        axisLabel: { ...font, interval: 0, rich: twoLines('left') },
      },
    ],
    series: [
      {
        type: 'bar',
        silent: true,
        barWidth: 18,
        data: rows.map((row) => ({ value: row.result.ratio, itemStyle: { color: COLORS[verdictOn(row)] } })),
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: INK, opacity: 0.6, type: 'dashed' },
          data: [{ xAxis: 1 }],
        },
      },
      {
        type: 'scatter',
        silent: true,
        symbol: 'rect',
        symbolSize: [4, 30],
        itemStyle: { color: INK },
        data: rows.flatMap(({ target }, index) => (target.ratioMin === null ? [] : [[target.ratioMin, index]])),
      },
    ],
  };
}

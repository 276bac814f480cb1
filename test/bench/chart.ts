/** A run as one SVG: a bar for each ratio, a mark where its target stands. Readable on light and on dark pages. */
import { init } from 'echarts';
import { type Outcome, type Paired, type Verdict, verdictOn } from './outcome.ts';

const WIDTH = 900;
const ROW_HEIGHT = 44;
const FRAME_HEIGHT = 120;

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
  return {
    animation: false,
    textStyle: font,
    title: {
      text: title,
      subtext: "times the peer's rate; ▏ marks the least that is promised",
      textStyle: { ...font, fontSize: 16 },
      subtextStyle: { ...font, fontSize: 12 },
    },
    grid: { left: 8, right: 56, top: 70, bottom: 8, containLabel: true },
    xAxis: {
      type: 'value',
      axisLabel: { ...font, formatter: '{value}x' },
      splitLine: { lineStyle: { color: INK, opacity: 0.15 } },
    },
    yAxis: {
      type: 'category',
      data: rows.map(({ name, peer }) => `{name|${name}}\n{peer|${peer}}`),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: INK } },
      axisLabel: {
        ...font,
        interval: 0,
        rich: {
          name: { ...font, fontSize: 13, fontWeight: 'bold', align: 'right' },
          peer: { ...font, fontSize: 11, align: 'right' },
        },
      },
    },
    series: [
      {
        type: 'bar',
        silent: true,
        barWidth: 18,
        data: rows.map((row) => ({ value: row.result.ratio, itemStyle: { color: COLORS[verdictOn(row)] } })),
        label: {
          ...font,
          show: true,
          position: 'right',
          formatter: ({ value }: { value: unknown }) => `${Number(value).toFixed(2)}x`,
        },
        markLine: {
          silent: true,
          symbol: 'none',
          label: { ...font, formatter: 'peer' },
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

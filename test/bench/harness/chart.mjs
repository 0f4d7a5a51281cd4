// Charts as SVG, drawn by ECharts without a browser. Figures lie orders of magnitude apart, so axes are logarithmic, and
// values are dots with a line for their spread: a bar would need a zero to start from.

import * as echarts from 'echarts';

import { format } from './format.mjs';

const COLOURS = ['#1f6feb', '#d9480f', '#2b8a3e', '#862e9c'];
/** The height of a dot with its label; the sides are some pixels apart. */
const LINE = 15;
const GAP = 12;
const WIDTH = 920;
const FONT = { fontFamily: 'sans-serif', fontSize: 12 };

/** One row for each side, one colour for each group. An axis `from` 0 is not logarithmic. */
export function dotChart({ title, metrics, sides }, metricKey, from) {
  const metric = metrics.find(({ key }) => key === metricKey);
  const names = [...new Set(sides.map(({ name }) => name))];
  const groups = [...new Set(sides.map(({ group }) => group))];
  const lowest = Math.min(...sides.filter(({ figures }) => figures).map(({ figures }) => figures[metricKey].low));

  const series = groups.map((group, index) => ({
    type: 'custom',
    name: group ?? metric.title,
    color: COLOURS[index],
    encode: { x: [1, 2, 3], y: 0 },
    data: sides
      .filter((side) => side.group === group)
      .map(({ name, failure, figures }) => {
        const { value, low, high } = figures?.[metricKey] ?? { value: lowest, low: lowest, high: lowest };
        return { value: [names.indexOf(name), value, low, high], failure };
      }),
    renderItem: (params, api) => {
      const { failure } = series[index].data[params.dataIndex];
      const below = (index - (groups.length - 1) / 2) * LINE;
      const at = (column) => {
        const [x, y] = api.coord([api.value(column), api.value(0)]);
        return { x, y: y + below };
      };
      return dot(
        at,
        COLOURS[index],
        failure === undefined ? format(api.value(1), metric.unit) : `failed: ${failure}`,
        failure,
      );
    },
  }));

  return draw(names.length * (groups.length * LINE + GAP) + 110, {
    title: { text: title, left: 10, textStyle: { fontSize: 15 } },
    legend: { show: groups.length > 1, top: 28 },
    grid: { left: 200, right: 90, top: 56, bottom: 44 },
    xAxis: {
      ...axis(`${metric.title}, median and spread`, metric.unit),
      ...(from === 0 ? { type: 'value', min: 0 } : {}),
    },
    yAxis: { type: 'category', data: names, inverse: true, axisTick: { show: false } },
    series,
  });
}

function dot(at, colour, label, failure) {
  const middle = at(1);
  const text = { type: 'text', style: { ...FONT, text: label, x: at(3).x + 8, y: middle.y - 6, fill: colour } };
  if (failure !== undefined) {
    return { type: 'group', children: [{ ...text, style: { ...text.style, x: middle.x } }] };
  }
  const line = { x1: at(2).x, y1: middle.y, x2: at(3).x, y2: middle.y };
  return {
    type: 'group',
    children: [
      { type: 'line', shape: line, style: { stroke: colour, lineWidth: 2, opacity: 0.5 } },
      { type: 'circle', shape: { cx: middle.x, cy: middle.y, r: 4 }, style: { fill: colour } },
      text,
    ],
  };
}

/** One line for each side, over what grows; the groups of a side are the numbers to which it has grown. */
export function lineChart({ title, metrics, sides }, metricKey) {
  const metric = metrics.find(({ key }) => key === metricKey);
  const names = [...new Set(sides.map(({ name }) => name))];
  const series = names.map((name, index) => ({
    type: 'line',
    name,
    color: COLOURS[index],
    symbolSize: 7,
    data: sides
      .filter((side) => side.name === name && side.figures !== undefined)
      .map(({ group, figures }) => [Number(group), figures[metricKey].value]),
  }));
  return draw(420, {
    title: { text: title, left: 10, textStyle: { fontSize: 15 } },
    legend: { top: 28 },
    grid: { left: 90, right: 40, top: 64, bottom: 44 },
    xAxis: { type: 'log', axisLabel: { formatter: (value) => format(value, 'ratio') } },
    yAxis: axis(metric.title, metric.unit),
    series,
  });
}

function axis(name, unit) {
  return {
    type: 'log',
    name,
    nameLocation: 'middle',
    nameGap: 28,
    axisLabel: { formatter: (value) => format(value, unit) },
  };
}

function draw(height, option) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: FONT, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

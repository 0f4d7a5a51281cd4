// Numbers for people: three digits, and the unit that suits the size.

const DURATIONS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
  [1, 'ns'],
];
const SIZES = [
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
  [1, 'B'],
];

const formats = {
  ns: (value) => scaled(value, DURATIONS),
  bytes: (value) => scaled(value, SIZES),
  perSecond: (value) => `${grouped(value)}/s`,
  ratio: (value) => digits(value),
  percent: (value) => `${value.toFixed(1)} %`,
};

/** A value in words, by the unit of its metric. */
export function format(value, unit) {
  return formats[unit](value);
}

function scaled(value, units) {
  const [size, name] = units.find(([size]) => Math.abs(value) >= size) ?? units.at(-1);
  return `${digits(value / size)} ${name}`;
}

function digits(value) {
  if (Math.abs(value) >= 1000) return grouped(value);
  return String(Number(value.toPrecision(3)));
}

function grouped(value) {
  return Math.round(Number(value.toPrecision(3)))
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
}

// A QR code (ISO/IEC 18004) as a drawing: bytes, error correction level L,
// versions 1 to 10, which hold 271 bytes; more than an address for one-time
// codes ever has.
import { svg } from "./ui.js";

// For each version: words of data, blocks, words of error correction in each.
const versions = [[19, 1, 7], [34, 1, 10], [55, 1, 15], [80, 1, 20], [108, 1, 26], [136, 2, 18], [156, 2, 20], [194, 2, 24], [232, 2, 30], [274, 4, 18]];

/** qr draws the text. It throws when the text is too long. */
export function qr(text, label) {
  const modules = matrix(new TextEncoder().encode(text)), n = modules.length;
  let d = "";
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) if (modules[y][x]) d += `M${x + 4} ${y + 4}h1v1h-1z`;
  return svg("svg", { class: "qr", viewBox: `0 0 ${n + 8} ${n + 8}`, role: "img", "aria-label": label },
    svg("path", { d: `M0 0h${n + 8}v${n + 8}H0z`, class: "paper" }), svg("path", { d, class: "ink" }));
}

function matrix(bytes) {
  const version = versions.findIndex(([data], i) => bytes.length + (i < 9 ? 2 : 3) <= data) + 1;
  if (!version) throw new Error("too long for a QR code");
  const n = version * 4 + 17, grid = Array.from({ length: n }, () => new Array(n)); // undefined: free for data
  const set = (x, y, dark) => { if (grid[y]?.[x] !== undefined || x < 0 || y < 0 || x >= n || y >= n) return; grid[y][x] = dark; };
  const square = (cx, cy, radius, dark) => {
    for (let dy = -radius; dy <= radius; dy++) for (let dx = -radius; dx <= radius; dx++) set(cx + dx, cy + dy, dark(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (const [x, y] of [[3, 3], [n - 4, 3], [3, n - 4]]) square(x, y, 4, (ring) => ring !== 2 && ring !== 4); // finders
  const centres = alignments(version, n), last = centres.length - 1;
  centres.forEach((x, i) => centres.forEach((y, j) => {
    const finder = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
    if (!finder) square(x, y, 2, (ring) => ring !== 1);
  }));
  for (let i = 8; i < n - 8; i++) { set(6, i, i % 2 === 0); set(i, 6, i % 2 === 0); } // timing
  formats(set, n);
  if (version >= 7) versionBits(set, version, n);
  fill(grid, n, interleave(bytes, version));
  return grid;
}

function alignments(version, n) {
  if (version === 1) return [];
  return version < 7 ? [6, n - 7] : [6, (n - 1) / 2, n - 7];
}

/** formats writes level L and mask 0 twice: a reader takes any mask. */
function formats(set, n) {
  let rest = 0b01000;
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((0b01000 << 10) | rest) ^ 0x5412, bit = (i) => ((bits >> i) & 1) === 1;
  const first = [0, 1, 2, 3, 4, 5, 7, 8]; // the timing lies between
  first.forEach((y, i) => set(8, y, bit(i)));
  [7, 5, 4, 3, 2, 1, 0].forEach((x, i) => set(x, 8, bit(8 + i)));
  for (let i = 0; i < 8; i++) set(n - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) set(8, n - 15 + i, bit(i));
  set(8, n - 8, true);
}

function versionBits(set, version, n) {
  let rest = version;
  for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let i = 0; i < 18; i++) {
    const a = n - 11 + (i % 3), b = Math.floor(i / 3), dark = ((bits >> i) & 1) === 1;
    set(a, b, dark);
    set(b, a, dark);
  }
}

/** interleave makes the words of the message, with their error correction. */
function interleave(bytes, version) {
  const [size, count, check] = versions[version - 1];
  const bits = (value, length) => Array.from({ length }, (_, i) => (value >> (length - 1 - i)) & 1);
  const stream = [...bits(4, 4), ...bits(bytes.length, version < 10 ? 8 : 16), ...[...bytes].flatMap((b) => bits(b, 8)), 0, 0, 0, 0];
  const words = Array.from({ length: Math.min(size, Math.ceil(stream.length / 8)) }, (_, i) =>
    stream.slice(i * 8, i * 8 + 8).reduce((word, bit, j) => word | (bit << (7 - j)), 0));
  for (let pad = 0xec; words.length < size; pad ^= 0xfd) words.push(pad);
  const short = Math.floor(size / count), longer = size % count, blocks = [];
  for (let i = 0, at = 0; i < count; i++) {
    const length = short + (i < count - longer ? 0 : 1);
    blocks.push(words.slice(at, at + length));
    at += length;
  }
  const checks = blocks.map((block) => remainder(block, check)), out = [];
  for (let i = 0; i <= short; i++) for (const block of blocks) if (i < block.length) out.push(block[i]);
  for (let i = 0; i < check; i++) for (const words of checks) out.push(words[i]);
  return out;
}

/** multiply is in the field GF(256) of x⁸+x⁴+x³+x²+1. */
function multiply(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((b >> i) & 1) * a);
  return product;
}

/** remainder is that of Reed and Solomon: the words of error correction. */
function remainder(block, length) {
  let divisor = [...new Array(length - 1).fill(0), 1];
  for (let i = 0, root = 1; i < length; i++, root = multiply(root, 2)) {
    divisor = divisor.map((c, j) => multiply(c, root) ^ (divisor[j + 1] ?? 0));
  }
  return block.reduce((rest, word) => {
    const factor = word ^ rest[0];
    return [...rest.slice(1), 0].map((c, i) => c ^ multiply(divisor[i], factor));
  }, new Array(length).fill(0));
}

/** fill lays the bits in columns of two, up and down, under mask 0. */
function fill(grid, n, words) {
  let i = 0;
  for (let right = n - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5; // the timing
    for (let step = 0; step < n; step++) for (const x of [right, right - 1]) {
      const y = ((right + 1) & 2) === 0 ? n - 1 - step : step;
      if (grid[y][x] !== undefined) continue;
      const bit = i < words.length * 8 && ((words[i >> 3] >> (7 - (i & 7))) & 1) === 1;
      grid[y][x] = bit !== ((x + y) % 2 === 0);
      i++;
    }
  }
}

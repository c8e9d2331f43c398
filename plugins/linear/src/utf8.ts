// Text in bytes: QuickJS has no TextEncoder.

export function encode(text: string): Uint8Array {
  // Three for each unit of UTF-16 is the most.
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (const character of text) {
    let code = character.codePointAt(0)!;
    // Half of a pair, which no text has.
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) {
      bytes[at++] = code;
    } else if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 63);
    } else if (code < 0x10000) {
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 63);
      bytes[at++] = 0x80 | (code & 63);
    } else {
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 63);
      bytes[at++] = 0x80 | ((code >> 6) & 63);
      bytes[at++] = 0x80 | (code & 63);
    }
  }
  return bytes.subarray(0, at);
}

/** What is not UTF-8 becomes U+FFFD. */
export function decode(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    // Most of it is ASCII, and an engine without a compiler takes long for each step.
    let end = at;
    const most = Math.min(bytes.length, at + RUN);
    while (end < most && bytes[end] < 0x80) end++;
    if (end > at) {
      parts.push(String.fromCharCode.apply(null, bytes.subarray(at, end) as unknown as number[]));
      at = end;
    } else {
      const [code, length] = character(bytes, at);
      parts.push(String.fromCodePoint(code));
      at += length;
    }
  }
  return parts.join("");
}

/** As many arguments as a call takes for certain. */
const RUN = 4096;

function character(bytes: Uint8Array, at: number): [code: number, length: number] {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  let code = first & (0x7f >> length);
  for (let next = 1; next < length; next++) {
    const byte = bytes[at + next];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return [0xfffd, next];
    code = (code << 6) | (byte & 63);
  }
  const least = [0, 0, 0x80, 0x800, 0x10000][length];
  const good = first >= 0xc2 && code >= least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return good ? [code, length] : [0xfffd, length];
}

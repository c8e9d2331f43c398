// The tools that wit/my-tools.wit exports, one function each.

import { readText, encode } from "./files.ts";

interface Counts {
  lines: number;
  words: number;
  bytes: number;
}

export function wordCount(path: string): Counts {
  // What is thrown is the error of result<.., string>; readText throws text.
  const text = readText(path);
  return {
    lines: text.split("\n").length - 1,
    words: text.split(/\s+/).filter((word) => word !== "").length,
    bytes: encode(text).length,
  };
}

export function greet(name: string): string {
  return `Hello ${name}!`;
}

// Files as tools see them, over `wasi:filesystem`: there is no `fs` here. Failures are thrown as text, which is what a
// tool of `result<.., string>` may let pass.

import preopens from "wasi:filesystem/preopens@0.2.12";

/** The content of a file, as a Uint8Array. */
export function readFile(path) {
  return trying("read", path, (root) => {
    const file = root.openAt({ symlinkFollow: true }, path, {}, { read: true });
    const { type, size } = file.stat();
    if (type === "directory") throw new Error("is-directory");
    const content = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const [bytes, end] = file.read(size - at, at);
      content.set(bytes, at);
      at += bytes.length;
      if (end || bytes.length === 0) return content.subarray(0, at);
    }
    return content;
  });
}

/** The content of a file as a string. What is not UTF-8 fails. */
export function readText(path) {
  return decode(readFile(path));
}

/** Makes or replaces a file. `content` is a string or a Uint8Array. */
export function writeFile(path, content) {
  const bytes = typeof content === "string" ? encode(content) : content;
  trying("write", path, (root) => {
    const file = root.openAt({ symlinkFollow: true }, path, { create: true, truncate: true }, { write: true });
    for (let at = 0; at < bytes.length; ) at += file.write(bytes.subarray(at, at + (1 << 20)), at);
  });
}

/** What is in a directory: objects with `name` and `type`, in no order. */
export function listDirectory(path) {
  return trying("list", path, (root) => {
    const stream = root.openAt({ symlinkFollow: true }, path, { directory: true }, { read: true }).readDirectory();
    const entries = [];
    for (let entry; (entry = stream.readDirectoryEntry()) != null; ) entries.push(entry);
    return entries;
  });
}

/** The bytes of a string in UTF-8. */
export function encode(text) {
  const escaped = encodeURIComponent(text).replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Uint8Array.from(escaped, (character) => character.charCodeAt(0));
}

/** The string that bytes in UTF-8 are. */
export function decode(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, "0")}`;
  return decodeURIComponent(escaped);
}

function trying(verb, path, act) {
  const root = preopens.getDirectories().find(([, name]) => name === ".");
  if (!root) throw `cannot ${verb} ${path}: no folder is granted`;
  try {
    return act(root[0]);
  } catch (error) {
    throw `cannot ${verb} ${path}: ${error?.message ?? error}`;
  }
}

// What `src/files.ts` imports of WASI, as `componentize-qjs` offers it; see wit/deps/filesystem.wit.

declare module "wasi:filesystem/types@0.2.12" {
  export type DescriptorType =
    | "unknown"
    | "block-device"
    | "character-device"
    | "directory"
    | "fifo"
    | "symbolic-link"
    | "regular-file"
    | "socket";

  export interface DirectoryEntry {
    type: DescriptorType;
    name: string;
  }

  export interface DirectoryEntryStream {
    readDirectoryEntry(): DirectoryEntry | null;
  }

  export interface Descriptor {
    openAt(
      pathFlags: { symlinkFollow?: boolean },
      path: string,
      openFlags: { create?: boolean; directory?: boolean; exclusive?: boolean; truncate?: boolean },
      flags: { read?: boolean; write?: boolean },
    ): Descriptor;
    stat(): { type: DescriptorType; size: number };
    read(length: number, offset: number): [Uint8Array, boolean];
    write(bytes: Uint8Array, offset: number): number;
    readDirectory(): DirectoryEntryStream;
  }
}

declare module "wasi:filesystem/preopens@0.2.12" {
  import type { Descriptor } from "wasi:filesystem/types@0.2.12";
  const preopens: { getDirectories(): [Descriptor, string][] };
  export default preopens;
}

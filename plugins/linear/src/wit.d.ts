// What src/ imports of WASI, as `componentize-qjs` offers it; see wit/deps/.

declare module "wasi:cli/environment@0.2.12" {
  const environment: { getEnvironment(): [string, string][] };
  export default environment;
}

declare module "wasi:random/random@0.2.12" {
  const random: { getRandomBytes(length: number): Uint8Array };
  export default random;
}

declare module "wasi:http/types@0.2.12" {
  type Result<T, E> = { tag: "ok"; val: T } | { tag: "err"; val: E };

  /** A case of `error-code`. */
  export interface ErrorCode {
    tag: string;
    val?: unknown;
  }

  export interface Fields extends Disposable {
    entries(): [string, Uint8Array][];
  }

  export interface OutputStream extends Disposable {
    blockingWriteAndFlush(bytes: Uint8Array): void;
  }

  export interface InputStream extends Disposable {
    blockingRead(length: number): Uint8Array;
  }

  export interface OutgoingBody extends Disposable {
    write(): OutputStream;
  }

  export interface OutgoingRequest extends Disposable {
    body(): OutgoingBody;
    setMethod(method: { tag: string }): void;
    setScheme(scheme: { tag: string }): void;
    setAuthority(authority: string): void;
    setPathWithQuery(path: string): void;
  }

  export interface IncomingBody extends Disposable {
    stream(): InputStream;
  }

  export interface IncomingResponse extends Disposable {
    status(): number;
    headers(): Fields;
    consume(): IncomingBody;
  }

  export interface FutureIncomingResponse extends Disposable {
    subscribe(): Disposable & { block(): void };
    get(): Result<Result<IncomingResponse, ErrorCode>, undefined> | null;
  }

  const types: {
    Fields: { fromList(entries: [string, Uint8Array][]): Fields };
    OutgoingRequest: new (headers: Fields) => OutgoingRequest;
    OutgoingBody: { finish(body: OutgoingBody, trailers: null): void };
  };
  export default types;
}

declare module "wasi:http/outgoing-handler@0.2.12" {
  import type { FutureIncomingResponse, OutgoingRequest } from "wasi:http/types@0.2.12";
  const handler: { handle(request: OutgoingRequest, options: null): FutureIncomingResponse };
  export default handler;
}

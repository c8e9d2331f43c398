// One POST and its answer, over `wasi:http`. Knows nothing of GraphQL.
//
// Resources are given back in order, each before what it came from: the host insists on it, and garbage is collected in none.

import handler from "wasi:http/outgoing-handler@0.2.12";
import types, { type IncomingResponse, type OutgoingBody, type OutgoingRequest } from "wasi:http/types@0.2.12";
import { encode, decode } from "./utf8.ts";

export interface Answer {
  status: number;
  /** The first value of a header, by its name in lower case. */
  header(name: string): string | null;
  body: string;
}

/** No answer. `sent` is whether the request may have reached the server. */
export class Broken {
  constructor(
    readonly reason: string,
    readonly sent: boolean,
  ) {}
}

/** Bytes of an answer. No page of issues comes near. */
const MOST = 16 << 20;

/** What the host says of a request that it did not send. */
const UNSENT =
  /^(DNS-|destination-|connection-(refused|timeout|limit-reached)|TLS-|HTTP-request-|configuration-error|loop-detected)/;

export function post(url: string, body: string, headers: Record<string, string>): Answer {
  const parts = /^(https?):\/\/([^/?#]+)([^#]*)$/i.exec(url);
  if (!parts) throw new Broken(`${JSON.stringify(url)} is not the URL of an endpoint`, false);
  const [, scheme, authority, path] = parts;
  const entries = Object.entries(headers).map(([name, value]): [string, Uint8Array] => [name, encode(value)]);
  const request = new types.OutgoingRequest(types.Fields.fromList(entries));
  try {
    request.setMethod({ tag: "post" });
    request.setScheme({ tag: scheme.toLowerCase() === "https" ? "HTTPS" : "HTTP" });
    request.setAuthority(authority);
    request.setPathWithQuery(path || "/");
  } catch {
    throw new Broken(`${JSON.stringify(url)} is not the URL of an endpoint`, false);
  }
  using response = send(request, encode(body));
  return receive(response);
}

function send(request: OutgoingRequest, body: Uint8Array): IncomingResponse {
  const outgoing = request.body();
  using future = reasoned(() => handler.handle(request, null));
  write(outgoing, body);
  {
    using answered = future.subscribe();
    answered.block();
  }
  const result = future.get();
  if (result?.tag !== "ok") throw new Broken("it gave no answer", true);
  if (result.val.tag !== "ok") throw broken(result.val.val);
  return result.val.val;
}

function write(body: OutgoingBody, bytes: Uint8Array): void {
  // Whoever refuses the request closes its body; the answer says why.
  try {
    using stream = body.write();
    for (let at = 0; at < bytes.length; at += 4096) stream.blockingWriteAndFlush(bytes.subarray(at, at + 4096));
  } catch {}
  try {
    types.OutgoingBody.finish(body, null);
  } catch {}
}

function receive(response: IncomingResponse): Answer {
  const headers = new Map<string, string>();
  {
    using fields = response.headers();
    // The first value of each.
    for (const [name, value] of fields.entries().reverse()) headers.set(name.toLowerCase(), decode(value));
  }
  using incoming = response.consume();
  using stream = incoming.stream();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    let piece: Uint8Array;
    try {
      piece = stream.blockingRead(64 << 10);
    } catch (error: any) {
      if (ended(error)) break;
      throw new Broken("its answer broke off", true);
    }
    pieces.push(piece);
    size += piece.length;
    if (size > MOST) throw new Broken(`its answer has more than ${MOST >> 20} MiB`, true);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return { status: response.status(), header: (name) => headers.get(name) ?? null, body: decode(body) };
}

function reasoned<T>(act: () => T): T {
  try {
    return act();
  } catch (error: any) {
    throw broken(error);
  }
}

/** Errors of WASI are thrown as they are, or within an Error. */
function ended(error: any): boolean {
  return (error?.payload ?? error)?.tag === "closed";
}

function broken(error: any): Broken {
  const code = error?.payload ?? error;
  const tag = String(code?.tag ?? code?.message ?? code);
  const detail = code?.val == null ? "" : `: ${typeof code.val === "object" ? Object.values(code.val).filter((it) => it != null).join(", ") : code.val}`;
  return new Broken(`${tag}${detail}`, !UNSENT.test(tag));
}

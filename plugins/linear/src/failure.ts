// How calls fail: what is thrown is the `failure` of wit/linear.wit.

export type Kind =
  | "arguments"
  | "not-found"
  | "unauthorized"
  | "rate-limited"
  | "refused"
  | "unreachable"
  | "unknown-outcome";

export class Failure {
  constructor(
    readonly kind: Kind,
    readonly message: string,
    readonly retryAfter: number | null = null,
    readonly clientId: string | null = null,
  ) {}
}

export function fail(kind: Kind, message: string): never {
  throw new Failure(kind, message);
}

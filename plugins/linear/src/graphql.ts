// Operations of Linear's API: what is sent, what comes back, and how it fails.

import environment from "wasi:cli/environment@0.2.12";
import { Failure, fail } from "./failure.ts";
import { post, Broken, type Answer } from "./http.ts";

interface GraphqlError {
  message?: string;
  extensions?: { type?: string; code?: string; userPresentableMessage?: string };
}

interface Outcome {
  data?: any;
  errors?: GraphqlError[];
}

type Variables = Record<string, unknown>;

/** Asks for something. */
export function ask(document: string, variables: Variables): any {
  return read(asked(document, variables));
}

/**
 * Changes something. Where no answer comes, it is tried once more, so it must come to the same when it is done twice. `clientId` is the
 * id of what it creates, if it does.
 */
export function change(document: string, variables: Variables, clientId: string | null = null): any {
  let answer: Answer;
  try {
    try {
      answer = sent(document, variables);
    } catch (error) {
      if (!(error instanceof Broken) || !error.sent) throw error;
      answer = sent(document, variables);
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    if (!error.sent) throw unreachable(error.reason);
    throw unknown(`${endpoint()} gave no answer to it, twice (${error.reason})`, clientId);
  }
  if (answer.status >= 500) throw unknown(`${endpoint()} answered with status ${answer.status}`, clientId);
  return read(answer);
}

function asked(document: string, variables: Variables): Answer {
  try {
    return sent(document, variables);
  } catch (error) {
    throw error instanceof Broken ? unreachable(error.reason) : error;
  }
}

function sent(document: string, variables: Variables): Answer {
  const body = JSON.stringify({ query: document, variables });
  // The host adds the key.
  return post(endpoint(), body, { "content-type": "application/json", accept: "application/json", "user-agent": "inorder-linear/0.1" });
}

function endpoint(): string {
  const set = environment.getEnvironment().find(([name]) => name === "LINEAR_API_URL");
  return set?.[1] || "https://api.linear.app/graphql";
}

function unreachable(reason: string): Failure {
  return new Failure("unreachable", `cannot ask ${endpoint()}: ${reason}`);
}

function unknown(what: string, clientId: string | null): Failure {
  const next = clientId === null ? "look at the issue before you try again" : `to try again without making two, pass client_id = "${clientId}"`;
  return new Failure("unknown-outcome", `it is not known whether the change was made: ${what}; ${next}`, null, clientId);
}

function read(answer: Answer): any {
  let outcome: Outcome | null = null;
  try {
    outcome = JSON.parse(answer.body);
  } catch {
    // A proxy's page, say. The status tells.
  }
  const errors = Array.isArray(outcome?.errors) ? outcome.errors : [];
  const is = (type: string, code: string) =>
    errors.some((error) => error.extensions?.type === type || error.extensions?.code === code);
  if (answer.status === 429 || is("ratelimited", "RATELIMITED")) throw rateLimited(answer);
  if (answer.status === 401 || is("authentication error", "AUTHENTICATION_ERROR")) {
    fail(
      "unauthorized",
      `Linear takes no API key from this request${said(errors)}. The host adds it: a secret for ${host()} with the header ` +
        "Authorization, listed in the plugin's `secrets`",
    );
  }
  if (answer.status === 403 || is("forbidden", "FORBIDDEN")) {
    fail("unauthorized", `Linear does not allow that with this API key${said(errors)}`);
  }
  if (errors.length > 0) {
    const missing = errors.some((error) => /\bnot found\b/i.test(error.message ?? ""));
    fail(missing ? "not-found" : "refused", `Linear refused${said(errors)}`);
  }
  if (answer.status !== 200) fail("unreachable", `${endpoint()} answered with status ${answer.status}`);
  if (outcome?.data == null) fail("unreachable", `what ${endpoint()} answered is not GraphQL`);
  return outcome.data;
}

function host(): string {
  return /\/\/([^/?#]+)/.exec(endpoint())?.[1] ?? "api.linear.app";
}

/** Messages of errors, cut where nobody reads on. */
function said(errors: GraphqlError[]): string {
  const messages = errors.map((error) => error.extensions?.userPresentableMessage ?? error.message ?? "an error without a message");
  const text = [...new Set(messages)].join("; ");
  return text === "" ? "" : `: ${text.length > 1000 ? `${text.slice(0, 1000)}..` : text}`;
}

function rateLimited(answer: Answer): Failure {
  const seconds = retryAfter(answer);
  const when = seconds === null ? "try again later" : `try again in ${seconds} s`;
  return new Failure("rate-limited", `Linear takes no more requests with this API key for now: ${when}`, seconds);
}

/** Seconds until a request is taken again. */
function retryAfter(answer: Answer): number | null {
  const named = answer.header("retry-after")?.trim();
  if (named && /^\d{1,9}$/.test(named)) return Number(named);
  const until = (moment: number) => Math.max(1, Math.ceil((moment - Date.now()) / 1000));
  if (named && !Number.isNaN(Date.parse(named))) return until(Date.parse(named));
  // In milliseconds since 1970, of each budget; the one that is used up counts.
  const budgets = ["requests", "endpoint-requests", "complexity"].map((budget) => ({
    left: answer.header(`x-ratelimit-${budget}-remaining`),
    reset: Number(answer.header(`x-ratelimit-${budget}-reset`) ?? NaN),
  }));
  const known = budgets.filter((it) => Number.isFinite(it.reset));
  const used = known.filter((it) => it.left === "0");
  const resets = (used.length > 0 ? used : known.slice(0, 1)).map((it) => it.reset);
  return resets.length > 0 ? until(Math.max(...resets)) : null;
}

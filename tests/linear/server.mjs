// Workspaces of Linear on loopback: its schema enforced by graphql-js, a few rules of its own by hand, all in memory.
//
//   node server.mjs FOLDER    FOLDER has node_modules with what package.json names
//
// Each path `/NAME/graphql` is a workspace of its own. Says `{"port": n}` on standard output, then answers each line of standard input,
// which is JSON, by one line:
//   {"at": NAME, "next": [..]}    what becomes of the next requests: "ok", "drop" (the connection is closed instead of an answer), "lose" (it
//                                 is closed before anything is done), {"status", "headers"?, "body"?}, or
//                                 {"wait": n} (as usual, and n milliseconds later)
//   {"at": NAME}                  what came since, each as {"operation", "name", "authorized"}
// It ends with its standard input.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { linearSchema, load } from "./schema.mjs";
import { workspace, Refused } from "./workspace.mjs";

const packages = process.argv[2];
const { execute, parse, validate, getOperationAST } = await load(packages, "graphql");

const KEY = "lin_api_0123456789abcdef";
const schema = await linearSchema(packages);
const spaces = new Map();

function space(name) {
  if (!spaces.has(name)) spaces.set(name, { root: workspace(), next: [], log: [] });
  return spaces.get(name);
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => answer(request, Buffer.concat(parts).toString("utf8"), response));
});

async function answer(request, body, response) {
  const [, name] = /^\/(\w+)\/graphql$/.exec(request.url) ?? [];
  const { root, next, log } = space(name);
  const behaviour = next.shift() ?? "ok";
  const send = (status, value, headers = {}) => {
    response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
    response.end(typeof value === "string" ? value : JSON.stringify(value));
  };
  const refuse = (status, message, type, code) => send(status, { errors: [{ message, extensions: { type, code, userError: true } }] });
  const authorized = request.headers.authorization === KEY;
  if (request.method !== "POST" || !name) return send(404, "");
  let asked, document;
  try {
    asked = JSON.parse(body);
    document = parse(asked.query);
  } catch (error) {
    return refuse(400, `Syntax Error: ${error.message}`, "graphql error", "GRAPHQL_VALIDATION_FAILED");
  }
  const operation = getOperationAST(document, asked.operationName);
  log.push({ operation: operation?.operation, name: operation?.name?.value, authorized });
  if (behaviour.wait) await new Promise((go) => setTimeout(go, behaviour.wait));
  if (behaviour === "lose") return request.socket.destroy();
  if (behaviour.status) return send(behaviour.status, behaviour.body ?? "", behaviour.headers);
  if (!authorized) {
    return refuse(401, "Authentication required, not authenticated", "authentication error", "AUTHENTICATION_ERROR");
  }
  const errors = validate(schema, document);
  if (errors.length > 0) {
    return send(400, { errors: errors.map((it) => ({ message: it.message, extensions: { type: "graphql error", code: "GRAPHQL_VALIDATION_FAILED" } })) });
  }
  const { operationName, variables: variableValues } = asked;
  const result = await execute({ schema, document, rootValue: root, variableValues, operationName });
  for (const error of result.errors ?? []) {
    if (error.originalError instanceof Refused) Object.assign(error.extensions, { type: "invalid input", code: "INPUT_ERROR", userError: true });
    else if (error.originalError) console.error(error.originalError);
  }
  if (behaviour === "drop") return request.socket.destroy();
  send(200, result);
}

server.listen(0, "127.0.0.1", () => {
  const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  say({ port: server.address().port });
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const { at, next } = JSON.parse(line);
    const here = space(at);
    here.next.push(...(next ?? []));
    say(here.log.splice(0));
  });
  lines.on("close", () => process.exit(0));
});

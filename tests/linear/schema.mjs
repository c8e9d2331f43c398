// Linear's schema, out of the types that its SDK publishes: graphql-codegen has made these from the schema, and they say all of it but
// defaults and descriptions. Types that are not reached from `Query` and `Mutation` are left out.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** The schema that enforces what Linear does. */
export async function linearSchema(packages) {
  const { buildSchema } = await load(packages, "graphql");
  const sdk = find(packages, "@linear/sdk");
  const file = readdirSync(dirname(sdk)).find((name) => /^index-.*\.d\.mts$/.test(name));
  const types = readFileSync(join(dirname(sdk), file), "utf8");
  // Behind the types of the schema are those of the SDK's own queries.
  return buildSchema(sdl(types.slice(0, types.search(/^type \w+Fragment = /m))));
}

/** A package of another folder than this file's. */
export const load = (packages, name) => import(pathToFileURL(find(packages, name)));

const find = (packages, name) => createRequire(join(packages, "package.json")).resolve(name);

/** `type Name = A & B & { .. };`, `type Name = A | B;` and `declare enum Name { .. }`. */
function declarations(text) {
  const found = new Map();
  for (const [, name, bases, body] of text.matchAll(/^type (\w+) = ((?:\w+ & )*)\{\n([^]*?)^\};$/gm)) {
    const fields = [...body.matchAll(/^ {2}(\w+)(\??): (.+);$/gm)].map(([, field, optional, type]) => ({ field, optional, type }));
    found.set(name, { bases: bases.split(" & ").filter(Boolean), fields });
  }
  for (const [, name, members] of text.matchAll(/^type (\w+) = ((?:\w+ \| )+\w+);$/gm)) {
    found.set(name, { members: members.split(" | ") });
  }
  for (const [, name, body] of text.matchAll(/^declare enum (\w+) \{\n([^]*?)^\}$/gm)) {
    found.set(name, { values: [...body.matchAll(/= "(\w+)"/g)].map(([, value]) => value) });
  }
  return found;
}

function sdl(text) {
  const all = declarations(text);
  const interfaces = new Set([...all.values()].flatMap((it) => it.bases ?? []));
  const scalars = new Set();
  const written = new Map();
  const todo = ["Query", "Mutation"];
  const reference = (type, optional) => {
    const [named, required] = typeOf(type, optional);
    const base = named.replace(/[[\]!]/g, "");
    if (all.has(base)) todo.push(base);
    else if (!["ID", "String", "Boolean", "Int", "Float"].includes(base)) scalars.add(base);
    return named + (required ? "!" : "");
  };
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (written.has(name)) continue;
    written.set(name, "");
    const { bases = [], fields = [], members, values } = all.get(name);
    if (values) {
      written.set(name, `enum ${name} { ${values.join(" ")} }`);
      continue;
    }
    if (members) {
      todo.push(...members);
      written.set(name, `union ${name} = ${members.join(" | ")}`);
      continue;
    }
    todo.push(...bases);
    // What implements an interface is reached through it.
    if (interfaces.has(name)) for (const [other, it] of all) if (it.bases?.includes(name) && written.has(other)) todo.push(other);
    const isOutput = fields.some(({ field }) => field === "__typename");
    const kind = interfaces.has(name) ? "interface" : isOutput ? "type" : "input";
    const lines = fields.filter(({ field }) => field !== "__typename").map(({ field, optional, type }) => {
      const given = kind === "input" ? null : all.get(`${name}${field[0].toUpperCase()}${field.slice(1)}Args`);
      const args = given?.fields?.map((arg) => `${arg.field}: ${reference(arg.type, arg.optional)}`);
      return `  ${field}${args?.length ? `(${args.join(", ")})` : ""}: ${reference(type, optional)}`;
    });
    const implemented = bases.length > 0 ? ` implements ${bases.join(" & ")}` : "";
    written.set(name, `${kind} ${name}${implemented} {\n${lines.join("\n")}\n}`);
  }
  return [...[...scalars].map((name) => `scalar ${name}`), ...written.values()].join("\n\n");
}

/** A type in GraphQL, and whether it is never null. */
function typeOf(type, optional) {
  const inner = /^(?:Input)?Maybe<(.*)>$/.exec(type);
  if (inner) return [typeOf(inner[1], "")[0], false];
  const list = /^Array<(.*)>$/.exec(type);
  if (list) {
    const [item, required] = typeOf(list[1], "");
    return [`[${item}${required ? "!" : ""}]`, optional === ""];
  }
  const scalar = /^Scalars\["(\w+)"\]$/.exec(type);
  return [scalar ? scalar[1] : type, optional === ""];
}

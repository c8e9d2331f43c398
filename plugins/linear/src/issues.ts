// Issues: lists, one of them, new ones and changes.

import random from "wasi:random/random@0.2.12";
import { Failure, fail } from "./failure.ts";
import { ask, change } from "./graphql.ts";
import { filters, find, findTeam, isUuid } from "./names.ts";
import { PAGE, next, page, type Connection } from "./pages.ts";

/** Of `Issue`, and of `IssueSearchResult`, which has the same fields and is no issue to the schema. */
const FIELDS = `id identifier title description priority priorityLabel estimate url branchName createdAt updatedAt archivedAt dueDate
  state { name type } labels(first: 50) { nodes { name } } assignee { id name } creator { name } team { id name }
  project { id name } parent { id }`;

const REF = "id identifier title";

export function listIssues(
  limit: number | null,
  cursor: string | null,
  orderBy: string | null,
  query: string | null,
  team: string | null,
  state: string | null,
  label: string | null,
  assignee: string | null,
  project: string | null,
  priority: number | null,
  parentId: string | null,
  createdAt: string | null,
  updatedAt: string | null,
  includeArchived: boolean | null,
) {
  const nobody = assignee?.toLowerCase() === "null";
  const contains = { containsIgnoreCase: query };
  const filter = {
    ...(query && { or: [{ title: contains }, { description: contains }] }),
    ...(team && { team: filters.team(team) }),
    ...(state && { state: filters.state(state) }),
    ...(label && { labels: { some: filters.label(label) } }),
    ...(assignee && { assignee: nobody ? { null: true } : filters.user(assignee) }),
    ...(project && { project: filters.project(project) }),
    ...(priority !== null && { priority: { eq: checked(priority) } }),
    ...(parentId && { parent: { id: { eq: isUuid(parentId) ? parentId : idOf(parentId) } } }),
    ...(createdAt && { createdAt: { gte: createdAt } }),
    ...(updatedAt && { updatedAt: { gte: updatedAt } }),
  };
  const { issues } = ask(
    `query Issues($filter: IssueFilter, $first: Int, $after: String, $orderBy: PaginationOrderBy, $includeArchived: Boolean) {
      issues(filter: $filter, first: $first, after: $after, orderBy: $orderBy, includeArchived: $includeArchived) { nodes { ${FIELDS} } ${PAGE} }
    }`,
    {
      filter,
      ...page(limit, cursor),
      orderBy: orderBy === "created-at" ? "createdAt" : "updatedAt",
      includeArchived: includeArchived ?? true,
    },
  );
  // Nothing fits, or one of the names is nobody's: the second is a mistake that would not be noticed.
  if (issues.nodes.length === 0 && cursor === null && (team || state || label || (assignee && !nobody) || project)) {
    find({ team, state, labels: label === null ? null : [label], assignee: nobody ? null : assignee, project });
  }
  return pageOf(issues);
}

export function searchIssues(
  query: string,
  team: string | null,
  limit: number | null,
  cursor: string | null,
  includeArchived: boolean | null,
) {
  const teamId = team === null ? null : isUuid(team) ? team : findTeam(team).id;
  const { searchIssues } = ask(
    `query Search($term: String!, $teamId: String, $first: Int, $after: String, $includeArchived: Boolean) {
      searchIssues(term: $term, teamId: $teamId, first: $first, after: $after, includeArchived: $includeArchived) { nodes { ${FIELDS} } ${PAGE} }
    }`,
    { term: query, teamId, ...page(limit, cursor), includeArchived: includeArchived ?? false },
  );
  return pageOf(searchIssues);
}

export function getIssue(id: string, includeRelations: boolean | null) {
  const { issue } = ask(
    `query Issue($id: String!, $relations: Boolean!) {
      issue(id: $id) {
        ${FIELDS}
        attachments(first: 100) { nodes { id title url } }
        relations(first: 100) @include(if: $relations) { nodes { type relatedIssue { ${REF} } } }
        inverseRelations(first: 100) @include(if: $relations) { nodes { type issue { ${REF} } } }
      }
    }`,
    { id, relations: includeRelations ?? false },
  );
  return {
    ...shaped(issue),
    attachments: issue.attachments.nodes,
    relations: includeRelations ? related(issue) : null,
  };
}

export function createIssue(
  title: string,
  team: string,
  description: string | null,
  assignee: string | null,
  state: string | null,
  labels: string[] | null,
  priority: number | null,
  project: string | null,
  dueDate: string | null,
  parentId: string | null,
  estimate: number | null,
  clientId: string | null,
) {
  const id = clientId === null ? newId() : checkedId(clientId);
  const { teamId, stateId, assigneeId, labelIds, projectId } = find({ team, assignee, state, labels, project });
  const input = {
    id, title, teamId, description, assigneeId, stateId, labelIds, projectId, dueDate, parentId, estimate,
    priority: priority === null ? null : checked(priority),
  };
  const created = () =>
    change(
      `mutation CreateIssue($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { ${FIELDS} } } }`,
      { input: given(input) },
      id,
    ).issueCreate.issue;
  const issue = once(created, () => {
    const { issue } = ask(`query Issue($id: String!) { issue(id: $id) { ${FIELDS} } }`, { id });
    if (issue.title !== title || issue.team.id !== teamId) {
      fail("arguments", `client_id ${id} is that of another issue, ${issue.identifier} ${JSON.stringify(issue.title)}: make a new UUID`);
    }
    return issue;
  });
  return shaped(issue ?? fail("refused", "Linear made no issue, and does not say why"));
}

export function updateIssue(
  id: string,
  title: string | null,
  description: string | null,
  team: string | null,
  assignee: string | null,
  state: string | null,
  labels: string[] | null,
  priority: number | null,
  project: string | null,
  dueDate: string | null,
  parentId: string | null,
  estimate: number | null,
) {
  const removed = (value: string | null) => value?.toLowerCase() === "null";
  const wanted = {
    team,
    state,
    labels,
    assignee: removed(assignee) ? null : assignee,
    project: removed(project) ? null : project,
  };
  const names = Object.values(wanted).some((it) => it !== null) ? find({ issue: id, ...wanted }) : null;
  const input = {
    ...given({
      title, description, dueDate, parentId, estimate,
      priority: priority === null ? null : checked(priority),
      ...names,
    }),
    ...(removed(assignee) && { assigneeId: null }),
    ...(removed(project) && { projectId: null }),
    ...(removed(dueDate) && { dueDate: null }),
    ...(removed(parentId) && { parentId: null }),
  };
  if (Object.keys(input).length === 0) fail("arguments", "nothing is named that should change");
  const { issue } = change(
    `mutation UpdateIssue($id: String!, $input: IssueUpdateInput!) { issueUpdate(id: $id, input: $input) { success issue { ${FIELDS} } } }`,
    { id, input },
  ).issueUpdate;
  return shaped(issue ?? fail("refused", "Linear did not change the issue, and does not say why"));
}

/**
 * Creates what has an id of its own. If Linear refuses, an earlier try may have made it, whose answer was lost: `existing` looks for it.
 */
export function once<T>(create: () => T, existing: () => T): T {
  try {
    return create();
  } catch (error) {
    if (!(error instanceof Failure) || (error.kind !== "refused" && error.kind !== "not-found")) throw error;
    try {
      return existing();
    } catch (other) {
      throw other instanceof Failure && other.kind === "arguments" ? other : error;
    }
  }
}

/** A random UUID. */
export function newId(): string {
  const bytes = random.getRandomBytes(16);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export function checkedId(clientId: string): string {
  return isUuid(clientId) ? clientId.toLowerCase() : fail("arguments", `client_id must be a UUID, not ${JSON.stringify(clientId)}`);
}

function idOf(issue: string): string {
  return ask("query Issue($id: String!) { issue(id: $id) { id } }", { id: issue }).issue.id;
}

function checked(priority: number): number {
  return priority <= 4 ? priority : fail("arguments", `priority goes from 0 (none) over 1 (urgent) to 4 (low), and is not ${priority}`);
}

/** What has a value. */
function given(input: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null));
}

function pageOf(issues: Connection) {
  return { issues: issues.nodes.map(shaped), cursor: next(issues) };
}

function shaped(issue: any) {
  return {
    id: issue.id,
    identifier: issue.identifier,
    title: issue.title,
    description: issue.description ?? null,
    priority: { value: issue.priority, name: issue.priorityLabel },
    estimate: issue.estimate ?? null,
    status: issue.state.name,
    statusType: issue.state.type,
    labels: issue.labels.nodes.map((label: { name: string }) => label.name),
    assignee: issue.assignee?.name ?? null,
    assigneeId: issue.assignee?.id ?? null,
    createdBy: issue.creator?.name ?? null,
    team: issue.team.name,
    teamId: issue.team.id,
    project: issue.project?.name ?? null,
    projectId: issue.project?.id ?? null,
    parentId: issue.parent?.id ?? null,
    dueDate: issue.dueDate ?? null,
    url: issue.url,
    gitBranchName: issue.branchName,
    createdAt: issue.createdAt,
    updatedAt: issue.updatedAt,
    archivedAt: issue.archivedAt ?? null,
    attachments: null as unknown,
    relations: null as unknown,
  };
}

function related({ relations, inverseRelations }: any) {
  const to = (type: string) => relations.nodes.filter((it: any) => it.type === type).map((it: any) => it.relatedIssue);
  const from = (type: string) => inverseRelations.nodes.filter((it: any) => it.type === type).map((it: any) => it.issue);
  return {
    blocks: to("blocks"),
    blockedBy: from("blocks"),
    relatedTo: [...to("related"), ...from("related")],
    duplicateOf: to("duplicate")[0] ?? null,
  };
}

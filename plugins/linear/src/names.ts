// What people call teams, states, users, labels and projects, and the ids that Linear knows them by.

import { fail } from "./failure.ts";
import { ask } from "./graphql.ts";

/** What is to be found, as a caller named it. */
export interface Wanted {
  issue?: string | null;
  team?: string | null;
  /** Of the team, else of the issue's; where neither is named, of any team. */
  state?: string | null;
  assignee?: string | null;
  labels?: string[] | null;
  project?: string | null;
}

export interface Found {
  teamId: string | null;
  stateId: string | null;
  assigneeId: string | null;
  labelIds: string[] | null;
  projectId: string | null;
}

interface Team {
  id: string;
  key: string;
  name: string;
  states: { nodes: State[] };
}

interface State {
  id: string;
  name: string;
  type: string;
  position: number;
}

interface Label {
  id: string;
  name: string;
  team: { id: string } | null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const isUuid = (text: string) => UUID.test(text);

/** A filter of what has that id, or one of these names. */
const named = (value: string, ...fields: string[]) =>
  isUuid(value) ? { id: { eq: value } } : { or: fields.map((field) => ({ [field]: { eqIgnoreCase: value } })) };

export const filters = {
  team: (team: string) => named(team, "key", "name"),
  user: (user: string) => (user.toLowerCase() === "me" ? { isMe: { eq: true } } : named(user, "name", "displayName", "email")),
  label: (label: string) => named(label, "name"),
  project: (project: string) => named(project, "name", "slugId"),
  state: (state: string) => named(state, "name", "type"),
};

const NAMES = `query Names(
  $withIssue: Boolean!, $issue: String!, $withTeam: Boolean!, $team: TeamFilter, $withState: Boolean!, $state: WorkflowStateFilter,
  $withUser: Boolean!, $user: UserFilter, $withLabels: Boolean!, $labels: IssueLabelFilter, $withProject: Boolean!, $project: ProjectFilter
) {
  issue(id: $issue) @include(if: $withIssue) { team { ...TeamStates } }
  teams(filter: $team, first: 5) @include(if: $withTeam) { nodes { ...TeamStates } }
  workflowStates(filter: $state, first: 1) @include(if: $withState) { nodes { id } }
  users(filter: $user, first: 5) @include(if: $withUser) { nodes { id name email } }
  issueLabels(filter: $labels, first: 250) @include(if: $withLabels) { nodes { id name team { id } } }
  projects(filter: $project, first: 5) @include(if: $withProject) { nodes { id name } }
}
fragment TeamStates on Team { id key name states(first: 100) { nodes { id name type position } } }`;

/** Finds all of it by one request. What is not there is a failure that says what is. */
export function find({ issue, team, state, assignee, labels, project }: Wanted): Found {
  const anyState = state != null && issue == null && team == null;
  const data = ask(NAMES, {
    withIssue: issue != null,
    issue: issue ?? "",
    withTeam: team != null,
    team: team == null ? null : filters.team(team),
    withState: anyState,
    state: anyState ? filters.state(state) : null,
    withUser: assignee != null,
    user: assignee == null ? null : filters.user(assignee),
    withLabels: labels != null && labels.length > 0,
    labels: { or: (labels ?? []).map(filters.label) },
    withProject: project != null,
    project: project == null ? null : filters.project(project),
  });
  const itsTeam: Team | null = team == null ? (data.issue?.team ?? null) : theTeam(team, data.teams.nodes);
  if (anyState && data.workflowStates.nodes.length === 0) fail("arguments", `no team has a state ${quote(state)}`);
  return {
    teamId: team == null ? null : itsTeam!.id,
    stateId: state == null || itsTeam === null ? null : stateOf(itsTeam, state),
    assigneeId: assignee == null ? null : theUser(assignee, data.users.nodes),
    labelIds: labels == null ? null : labels.map((label) => theLabel(label, data.issueLabels.nodes, itsTeam)),
    projectId: project == null ? null : theProject(project, data.projects.nodes),
  };
}

/** The team of that name, key or id, with its states. */
export function findTeam(team: string): Team {
  return theTeam(team, ask(TEAM, { team: filters.team(team) }).teams.nodes);
}

const TEAM = `query Team($team: TeamFilter) {
  teams(filter: $team, first: 5) { nodes { id key name states(first: 100) { nodes { id name type position } } } }
}`;

function theTeam(team: string, found: Team[]): Team {
  // A key is one team's; its name may be another's key.
  const exact = found.filter((it) => same(it.key, team));
  const [one, other] = exact.length > 0 ? exact : found;
  if (one === undefined) {
    const all = ask("query Teams { teams(first: 250) { nodes { key name } } }", {}).teams.nodes;
    fail("arguments", `there is no team ${quote(team)}; there are ${list(all.map((it: Team) => `${it.name} (${it.key})`))}`);
  }
  if (other !== undefined) fail("arguments", `there are several teams ${quote(team)}: name it by its key: ${list(found.map((it) => it.key))}`);
  return one;
}

/** By id or name, else the first of that type. */
function stateOf(team: Team, state: string): string {
  const states = inOrder(team);
  const found = states.find((it) => it.id === state || same(it.name, state)) ?? states.find((it) => same(it.type, state));
  return found?.id ?? fail("arguments", `the team ${team.name} has no state ${quote(state)}; it has ${list(states.map((it) => it.name))}`);
}

const TYPES = ["triage", "backlog", "unstarted", "started", "completed", "canceled", "duplicate"];

/** States as the board has them. */
export function inOrder(team: Team): State[] {
  const rank = (state: State) => TYPES.indexOf(state.type);
  return [...team.states.nodes].sort((one, other) => rank(one) - rank(other) || one.position - other.position);
}

function theUser(user: string, found: { id: string; name: string; email: string }[]): string {
  if (found.length === 0) fail("arguments", `there is no user ${quote(user)}: list_users tells who there is`);
  if (found.length > 1) {
    fail("arguments", `there are several users ${quote(user)}: name one by email: ${list(found.map((it) => it.email))}`);
  }
  return found[0].id;
}

/** The team's own before those of everybody, and those before another team's, which Linear may take from a team above. */
function theLabel(label: string, found: Label[], team: Team | null): string {
  const fitting = found.filter((it) => it.id === label || same(it.name, label));
  const best =
    fitting.find((it) => it.team !== null && it.team.id === team?.id) ?? fitting.find((it) => it.team === null) ?? fitting[0];
  if (best !== undefined) return best.id;
  const filter = team === null ? null : { or: [{ team: { null: true } }, { team: { id: { eq: team.id } } }] };
  const all = ask("query Labels($filter: IssueLabelFilter) { issueLabels(filter: $filter, first: 250) { nodes { name } } }", { filter });
  fail("arguments", `there is no label ${quote(label)}; there are ${list(all.issueLabels.nodes.map((it: Label) => it.name))}`);
}

function theProject(project: string, found: { id: string; name: string }[]): string {
  if (found.length === 0) {
    const all = ask("query Projects { projects(first: 50) { nodes { name } } }", {}).projects.nodes;
    fail("arguments", `there is no project ${quote(project)}; there are ${list(all.map((it: { name: string }) => it.name))}`);
  }
  if (found.length > 1) {
    fail("arguments", `there are several projects ${quote(project)}: name one by its ID: ${list(found.map((it) => it.id))}`);
  }
  return found[0].id;
}

const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();

const quote = (text: string) => JSON.stringify(text);

/** Names, as many as one reads. */
function list(names: string[]): string {
  const most = 50;
  if (names.length === 0) return "none";
  return names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");
}

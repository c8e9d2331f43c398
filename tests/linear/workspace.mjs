// What is in the workspace, and what Linear does with it: filters, pages, and which ids fit where.

/** Linear's own refusal of an input. */
export class Refused extends Error {}

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Ids that are the same in every run. */
const id = (kind, n) => `${kind.toString(16).padStart(8, "0")}-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;

const START = Date.UTC(2026, 0, 1);
const minute = (n) => new Date(START + n * 60_000).toISOString();

function objects() {
  const users = [
    { id: id(1, 1), name: "Ada Example", displayName: "ada", email: "ada@example.org", isMe: true },
    { id: id(1, 2), name: "Zoë Müller", displayName: "zoë", email: "zoe@example.org", isMe: false },
    { id: id(1, 3), name: "Sam Same", displayName: "sam", email: "sam1@example.org", isMe: false },
    { id: id(1, 4), name: "Sam Same", displayName: "sam2", email: "sam2@example.org", isMe: false },
  ].map((user) => ({ ...user, active: true }));
  const teams = [
    { id: id(2, 1), key: "ENG", name: "Engineering", description: "Those who build" },
    { id: id(2, 2), key: "OPS", name: "Операции 🛠", description: null },
  ];
  const names = [["Done", "completed"], ["Backlog", "backlog"], ["In Progress", "started"], ["In Review", "started"], ["Todo", "unstarted"], ["Canceled", "canceled"]];
  const states = teams.flatMap((team, t) => names.map(([name, type], n) => ({ id: id(3, 10 * t + n), name, type, position: n, team })));
  const labels = [
    { id: id(4, 1), name: "Bug", color: "#f00", team: null },
    { id: id(4, 2), name: "Größe", color: "#0f0", team: teams[0] },
    { id: id(4, 3), name: "Pager", color: "#00f", team: teams[1] },
  ];
  const projects = [
    { id: id(5, 1), name: "Web Interface", slugId: "web1", description: "", progress: 0.25, url: "https://linear.app/p/web1", startDate: null, targetDate: "2026-12-24", status: { name: "In Progress" }, lead: users[1], accessibleTeams: [teams[0]], archivedAt: null },
    { id: id(5, 2), name: "Old", slugId: "old1", description: "gone", progress: 1, url: "https://linear.app/p/old1", startDate: null, targetDate: null, status: { name: "Completed" }, lead: null, accessibleTeams: [teams[0], teams[1]], archivedAt: minute(1) },
  ];
  return { users, teams, states, labels, projects, issues: [], comments: [] };
}

export function workspace() {
  const all = objects();
  const { users, teams, states, labels, projects, issues, comments } = all;
  const now = () => minute(10_000 + issues.length + comments.length);
  const of = (list, wanted, what) => {
    if (wanted === null || wanted === undefined) return null;
    return list.find((it) => it.id === wanted) ?? refuse(`Entity not found: ${what} - Could not find referenced ${what}.`);
  };
  const theIssue = (wanted) =>
    issues.find((it) => it.id === wanted || it.identifier === wanted.toUpperCase()) ?? refuse("Entity not found: Issue - Could not find referenced Issue.");

  const addIssue = (input, createdAt) => {
    const team = of(teams, input.teamId, "Team");
    const number = Math.max(0, ...issues.filter((it) => it.identifier.startsWith(`${team.key}-`)).map((it) => it.number)) + 1;
    const issue = {
      id: input.id, identifier: `${team.key}-${number}`, number, priority: 0, description: null, estimate: null, dueDate: null, archivedAt: null,
      url: `https://linear.app/x/issue/${team.key}-${number}`, branchName: `ada/${team.key.toLowerCase()}-${number}`,
      createdAt, updatedAt: createdAt, team, creator: users[0], assignee: null, project: null, parent: null, itsLabels: [],
      state: states.find((it) => it.team === team && it.type === "backlog"),
      get priorityLabel() { return ["No priority", "Urgent", "High", "Medium", "Low"][this.priority]; },
      labels: (args) => page(issue.itsLabels, args),
      attachments: (args) => page(issue === issues[0] ? [{ id: id(8, 1), title: "PR 7", url: "https://example.org/7" }] : [], args),
      comments: (args) => page(comments.filter((it) => it.issue === issue).reverse(), args),
      relations: (args) => page(issue === issues[0] ? [{ type: "blocks", relatedIssue: issues[1] }, { type: "duplicate", relatedIssue: issues[2] }] : [], args),
      inverseRelations: (args) => page(issue === issues[1] ? [{ type: "blocks", issue: issues[0] }] : [], args),
    };
    change(issue, input);
    issues.push(issue);
    return issue;
  };
  const change = (issue, input) => {
    const team = input.teamId ? of(teams, input.teamId, "Team") : issue.team;
    const set = (field, value) => { if (value !== undefined) issue[field] = value; };
    if (input.title !== undefined && !input.title?.trim()) refuse("Argument Validation Error: title should not be empty");
    const state = of(states, input.stateId, "WorkflowState");
    if (state && state.team !== team) refuse("Discrepancy between issue team and state team");
    const given = input.labelIds?.map((it) => of(labels, it, "IssueLabel"));
    if (given?.some((it) => it.team !== null && it.team !== team)) refuse("The label is not associated with the issue's team");
    for (const field of ["title", "description", "priority", "estimate", "dueDate"]) set(field, input[field]);
    if ("assigneeId" in input) issue.assignee = of(users, input.assigneeId, "User");
    if ("projectId" in input) issue.project = of(projects, input.projectId, "Project");
    if ("parentId" in input) issue.parent = input.parentId === null ? null : theIssue(input.parentId);
    if (state) issue.state = state;
    if (given) issue.itsLabels = given;
    issue.team = team;
  };
  const fresh = (list, wanted) => {
    if (!UUID4.test(wanted ?? id(9, list.length))) refuse("Argument Validation Error: id must be a UUID v4");
    if (list.some((it) => it.id === wanted)) refuse("Conflict on insert: an entity with this id exists already");
    return wanted ?? id(9, list.length);
  };

  for (let n = 1; n <= 120; n++) {
    const input = { id: id(6, n), teamId: teams[0].id, title: n === 7 ? "Ein „Titel“ \"mit\" 日本語 🎉" : `Issue number ${n}`, priority: n % 5 };
    addIssue({ ...input, assigneeId: n % 10 === 0 ? users[0].id : null, labelIds: n % 3 === 0 ? [labels[0].id] : [] }, minute(n));
  }
  issues[119].archivedAt = minute(5000);
  addIssue({ id: id(6, 200), teamId: teams[1].id, title: "Pager rings", labelIds: [labels[2].id] }, minute(200));

  for (const team of teams) team.states = (args) => page(states.filter((it) => it.team === team), args);
  const list = (of) => ({ filter, ...args }) => page(sorted(of.filter((it) => fits(it, filter)), args), args);
  return {
    issues: list(issues),
    teams: list(teams),
    users: list(users),
    issueLabels: list(labels),
    projects: list(projects),
    workflowStates: list(states),
    issue: ({ id }) => theIssue(id),
    comment: ({ id }) => of(comments, id, "Comment"),
    searchIssues: ({ term, teamId, ...args }) => {
      const words = term.toLowerCase().split(/\s+/);
      const found = issues.filter((it) => (!teamId || it.team.id === teamId) && words.every((word) => it.title.toLowerCase().includes(word)));
      return { ...page(found, args), totalCount: found.length };
    },
    issueCreate: ({ input }) => {
      const issue = addIssue({ ...input, id: fresh(issues, input.id) }, now());
      return { success: true, lastSyncId: issues.length, issue };
    },
    issueUpdate: ({ id, input }) => {
      const issue = theIssue(id);
      change(issue, input);
      issue.updatedAt = now();
      return { success: true, lastSyncId: issues.length, issue };
    },
    commentCreate: ({ input }) => {
      const issue = theIssue(input.issueId);
      const comment = {
        id: fresh(comments, input.id), body: input.body, issue, user: users[0], parent: of(comments, input.parentId, "Comment"),
        createdAt: now(), updatedAt: now(), url: `${issue.url}#comment`,
      };
      comments.push(comment);
      return { success: true, lastSyncId: 1, comment };
    },
  };
}

function refuse(message) {
  throw new Refused(message);
}

function sorted(list, { orderBy }) {
  return orderBy ? [...list].sort((one, other) => other[orderBy].localeCompare(one[orderBy])) : list;
}

function page(list, { first = 50, after, includeArchived }) {
  if (first > 250) refuse("Argument Validation Error: first must not be greater than 250");
  const shown = list.filter((it) => includeArchived || !it.archivedAt);
  const start = after ? shown.findIndex((it) => it.id === after) + 1 : 0;
  if (after && start === 0) refuse("Argument Validation Error: after is not a cursor");
  const nodes = shown.slice(start, start + first);
  const pageInfo = { hasNextPage: start + first < shown.length, hasPreviousPage: start > 0, endCursor: nodes.at(-1)?.id ?? null };
  return { nodes, pageInfo };
}

const lower = (value) => value.toLowerCase();

const COMPARATORS = {
  eq: (value, to) => value === to,
  eqIgnoreCase: (value, to) => lower(value) === lower(to),
  containsIgnoreCase: (value, to) => value !== null && lower(value).includes(lower(to)),
  gte: (value, to) => Date.parse(value) >= moment(to),
};

/** A time, or a duration before the end of what is here. */
function moment(text) {
  const duration = /^-P(\d+)D$/.exec(text);
  const at = duration ? START + 201 * 60_000 - Number(duration[1]) * 86_400_000 : Date.parse(text);
  return Number.isNaN(at) ? refuse(`Argument Validation Error: ${text} is not a date`) : at;
}

/** Whether something is what a filter of Linear's asks for. */
function fits(value, filter) {
  return Object.entries(filter ?? {}).every(([field, wanted]) => {
    if (field === "or") return wanted.length === 0 || wanted.some((it) => fits(value, it));
    if (field === "null") return (value === null) === wanted;
    if (field in COMPARATORS) return value !== undefined && COMPARATORS[field](value, wanted);
    if (value === null) return false;
    if (field === "some") return value.some((it) => fits(it, wanted));
    const part = field === "labels" ? value.itsLabels : value[field];
    if (part === undefined) throw new Error(`the test server does not know the filter ${field}`);
    return fits(part, wanted);
  });
}

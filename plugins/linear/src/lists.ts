// What issues belong to: teams, projects, states, labels, users.

import { ask } from "./graphql.ts";
import { filters, findTeam, inOrder, isUuid } from "./names.ts";
import { PAGE, next, page } from "./pages.ts";

export function listTeams(query: string | null, limit: number | null, cursor: string | null) {
  const { teams } = ask(
    `query Teams($filter: TeamFilter, $first: Int, $after: String) {
      teams(filter: $filter, first: $first, after: $after) { nodes { id key name description } ${PAGE} }
    }`,
    { filter: query && { name: { containsIgnoreCase: query } }, ...page(limit, cursor) },
  );
  const shaped = (team: any) => ({ ...team, description: team.description ?? null });
  return { teams: teams.nodes.map(shaped), cursor: next(teams) };
}

export function listProjects(
  query: string | null,
  team: string | null,
  limit: number | null,
  cursor: string | null,
  includeArchived: boolean | null,
) {
  const teamId = team === null ? null : isUuid(team) ? team : findTeam(team).id;
  const filter = {
    ...(query && { name: { containsIgnoreCase: query } }),
    ...(teamId && { accessibleTeams: { some: { id: { eq: teamId } } } }),
  };
  const { projects } = ask(
    `query Projects($filter: ProjectFilter, $first: Int, $after: String, $includeArchived: Boolean) {
      projects(filter: $filter, first: $first, after: $after, includeArchived: $includeArchived) {
        nodes { id name description progress url startDate targetDate status { name } lead { name } } ${PAGE}
      }
    }`,
    { filter, ...page(limit, cursor, 50), includeArchived: includeArchived ?? false },
  );
  const shaped = (project: any) => ({
    ...project,
    status: project.status.name,
    lead: project.lead?.name ?? null,
    startDate: project.startDate ?? null,
    targetDate: project.targetDate ?? null,
  });
  return { projects: projects.nodes.map(shaped), cursor: next(projects) };
}

export function listIssueStatuses(team: string) {
  return inOrder(findTeam(team)).map(({ id, name, type }) => ({ id, name, type }));
}

export function listIssueLabels(team: string | null, name: string | null, limit: number | null, cursor: string | null) {
  const teamId = team === null ? null : isUuid(team) ? team : findTeam(team).id;
  const filter = {
    ...(name && { name: { containsIgnoreCase: name } }),
    ...(teamId && { or: [{ team: { null: true } }, { team: { id: { eq: teamId } } }] }),
  };
  const { issueLabels } = ask(
    `query Labels($filter: IssueLabelFilter, $first: Int, $after: String) {
      issueLabels(filter: $filter, first: $first, after: $after) { nodes { id name color team { name } } ${PAGE} }
    }`,
    { filter, ...page(limit, cursor) },
  );
  const shaped = (label: any) => ({ ...label, team: label.team?.name ?? null });
  return { labels: issueLabels.nodes.map(shaped), cursor: next(issueLabels) };
}

export function listUsers(query: string | null, limit: number | null, cursor: string | null) {
  const contains = { containsIgnoreCase: query };
  const me = query?.toLowerCase() === "me";
  const filter = query && (me ? filters.user("me") : { or: ["name", "displayName", "email"].map((it) => ({ [it]: contains })) });
  const { users } = ask(
    `query Users($filter: UserFilter, $first: Int, $after: String) {
      users(filter: $filter, first: $first, after: $after) { nodes { id name displayName email active } ${PAGE} }
    }`,
    { filter, ...page(limit, cursor) },
  );
  return { users: users.nodes, cursor: next(users) };
}

// Comments on issues.

import { fail } from "./failure.ts";
import { ask, change } from "./graphql.ts";
import { checkedId, newId, once } from "./issues.ts";
import { PAGE, next, page } from "./pages.ts";

const FIELDS = "id body createdAt updatedAt url user { id name } parent { id }";

export function listComments(issueId: string, limit: number | null, cursor: string | null) {
  const { comments } = ask(
    `query Comments($id: String!, $first: Int, $after: String) {
      issue(id: $id) { comments(first: $first, after: $after) { nodes { ${FIELDS} } ${PAGE} } }
    }`,
    { id: issueId, ...page(limit, cursor) },
  ).issue;
  return { comments: comments.nodes.map(shaped), cursor: next(comments) };
}

export function createComment(issueId: string, body: string, parentId: string | null, clientId: string | null) {
  const id = clientId === null ? newId() : checkedId(clientId);
  const input = { id, issueId, body, ...(parentId !== null && { parentId }) };
  const created = () =>
    change(
      `mutation CreateComment($input: CommentCreateInput!) { commentCreate(input: $input) { success comment { ${FIELDS} } } }`,
      { input },
      id,
    ).commentCreate.comment;
  return shaped(
    once(created, () => {
      const query = `query Comment($id: String!) { comment(id: $id) { ${FIELDS} issue { id identifier } } }`;
      const { comment } = ask(query, { id });
      const { issue } = comment;
      if (issue?.id !== issueId && issue?.identifier.toLowerCase() !== issueId.toLowerCase()) {
        fail("arguments", `client_id ${id} is that of another comment, on ${issue?.identifier ?? "something else"}: make a new UUID`);
      }
      return comment;
    }),
  );
}

function shaped(comment: any) {
  return {
    id: comment.id,
    body: comment.body,
    user: comment.user?.name ?? null,
    userId: comment.user?.id ?? null,
    parentId: comment.parent?.id ?? null,
    createdAt: comment.createdAt,
    updatedAt: comment.updatedAt,
    url: comment.url,
  };
}

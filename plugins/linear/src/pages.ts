// Pages of lists: `limit` and `cursor` of a caller, `first` and `after` of Linear's connections.

import { fail } from "./failure.ts";

export interface Connection {
  nodes: any[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

/** What of a page is asked for with every connection. */
export const PAGE = "pageInfo { hasNextPage endCursor }";

export function page(limit: number | null, cursor: string | null, most = 250): { first: number; after: string | null } {
  const first = limit ?? 50;
  if (first < 1 || first > most) fail("arguments", `limit must be from 1 to ${most}, not ${first}`);
  return { first, after: cursor };
}

/** The cursor of the next page. */
export function next({ pageInfo }: Connection): string | null {
  return pageInfo.hasNextPage ? pageInfo.endCursor : null;
}

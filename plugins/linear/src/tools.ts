// The interface that wit/linear.wit exports: one function for each tool.

import * as comments from "./comments.ts";
import * as issues from "./issues.ts";
import * as lists from "./lists.ts";

const { listIssues, searchIssues, getIssue, createIssue, updateIssue } = issues;
const { listComments, createComment } = comments;

export const tracker = { listIssues, searchIssues, getIssue, createIssue, updateIssue, listComments, createComment, ...lists };

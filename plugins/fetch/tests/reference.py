"""The reference server's own functions, on what the tests ask: texts come in, and answers go out, with NUL after each.

    python reference.py markdown    what markdownify makes of HTML
    python reference.py page        what the server makes of a page
    python reference.py robots      texts in threes: a robots.txt, a user agent, a URL; answers yes or no
"""

import sys

import markdownify
from mcp_server_fetch.server import extract_content_from_html
from protego import Protego


def robots(robots_txt, user_agent, url):
    lines = (line for line in robots_txt.splitlines() if not line.strip().startswith("#"))
    return "yes" if Protego.parse("\n".join(lines)).can_fetch(url, user_agent) else "no"


def markdown(html):
    return markdownify.markdownify(html, heading_style=markdownify.ATX)


asked = sys.stdin.buffer.read().decode().split("\0")[:-1]
function, count = {
    "markdown": (markdown, 1),
    "page": (extract_content_from_html, 1),
    "robots": (robots, 3),
}[sys.argv[1]]
for at in range(0, len(asked), count):
    answer = function(*asked[at : at + count])
    sys.stdout.buffer.write(answer.encode() + b"\0")
    sys.stdout.buffer.flush()

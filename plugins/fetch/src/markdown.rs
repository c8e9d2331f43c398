//! Markdown of an HTML tree, by the rules of the Python library markdownify, which the reference server uses: a child's text first, then
//! what its element makes of it. Which part of a page is worth it, it does not know.

use dom_query::{Document, NodeRef};

use crate::text::{collapse, count_runs, each_line, is_space};

pub fn of_html(html: &str) -> String {
    of_fragment(&Document::fragment(html))
}

/// Each level of elements is a call on the stack.
pub fn of_fragment(document: &Document) -> String {
    // Its nodes are below an `html` of the parser's own.
    let root = document.root();
    let top = root.first_element_child().unwrap_or(root);
    children(&top, "", Around::default()).trim_matches('\n').to_owned()
}

/// What the elements around a node are.
#[derive(Clone, Copy, Default)]
struct Around {
    /// A heading or a cell of a table, which is one line.
    line: bool,
    /// Code, in which nothing is marked up.
    code: bool,
    pre: bool,
    item: bool,
    /// How many `ul`.
    lists: usize,
}

impl Around {
    fn within(self, name: &str) -> Around {
        Around {
            line: self.line || heading(name).is_some() || matches!(name, "td" | "th"),
            code: self.code || matches!(name, "pre" | "code" | "kbd" | "samp"),
            pre: self.pre || name == "pre",
            item: self.item || name == "li",
            lists: self.lists + usize::from(name == "ul"),
        }
    }
}

/// The text of what is in an element, with line breaks where two children meet counted once. `around` is that of the children.
fn children(element: &NodeRef, name: &str, around: Around) -> String {
    let mut joined = String::new();
    let mut breaks = 0;
    let mut items = 0;
    for child in element.children_it(false) {
        let text = if child.is_text() {
            if is_ignored(&child, name) {
                continue;
            }
            text(&child, name, around)
        } else if child.is_element() {
            let name = child.node_name().unwrap_or_default();
            let text = node(&child, &name, around, items);
            items += usize::from(&*name == "li");
            text
        } else {
            continue;
        };
        if text.is_empty() || around.pre {
            joined += &text;
            continue;
        }
        let content = text.trim_start_matches('\n');
        let mut leading = text.len() - content.len();
        if breaks > 0 && leading > 0 {
            joined.truncate(joined.len() - breaks);
            leading = leading.max(breaks).min(2);
        }
        joined.extend(std::iter::repeat_n('\n', leading));
        joined += content;
        breaks = content.len() - content.trim_end_matches('\n').len();
    }
    joined
}

fn node(element: &NodeRef, name: &str, around: Around, items: usize) -> String {
    if matches!(name, "script" | "style") {
        return String::new();
    }
    let text = children(element, name, around.within(name));
    if let Some(level) = heading(name) {
        return match around.line {
            true => text,
            false => format!("\n\n{} {}\n\n", "#".repeat(level), collapse(text.trim())),
        };
    }
    match name {
        "a" if !around.code => link(element, &text),
        "b" | "strong" if !around.code => marked(&text, "**"),
        "em" | "i" if !around.code => marked(&text, "*"),
        "del" | "s" if !around.code => marked(&text, "~~"),
        "sub" | "sup" if !around.code => marked(&text, ""),
        "code" | "kbd" | "samp" if !around.code => code(&text),
        "q" => format!("\"{text}\""),
        "br" if around.line => " ".to_owned(),
        "br" => "  \n".to_owned(),
        "hr" => "\n\n---\n\n".to_owned(),
        "img" => image(element, around),
        "video" => video(element, text, around),
        "p" => block(text.trim_matches(is_space), around),
        "div" | "article" | "section" | "dl" => block(text.trim(), around),
        "blockquote" => quotation(text.trim_matches(is_space), around),
        "pre" => preformatted(&text),
        "ul" | "ol" => list(element, &text, around),
        "li" => item(element, text.trim(), around, items),
        "dt" => term(text.trim(), around),
        "dd" => definition(text.trim(), around),
        "table" | "figcaption" => format!("\n\n{}\n\n", text.trim()),
        "caption" => format!("{}\n\n", text.trim()),
        "td" | "th" => {
            format!(" {}{}", text.trim().replace('\n', " "), " |".repeat(columns(element)))
        }
        "tr" => row(element, &text),
        _ => text,
    }
}

fn text(node: &NodeRef, parent: &str, around: Around) -> String {
    let mut text = node.text().to_string();
    if !around.pre {
        text = crate::text::single_spaces(&text);
    }
    if !around.code {
        text = text.replace('*', "\\*").replace('_', "\\_");
    }
    let mut kept = &*text;
    let (before, after) = (node.prev_sibling(), node.next_sibling());
    if ends_lines(before.as_ref()) || (is_block(parent) && before.is_none()) {
        kept = kept.trim_start_matches(is_space);
    }
    if ends_lines(after.as_ref()) || (is_block(parent) && after.is_none()) {
        kept = kept.trim_end();
    }
    kept.to_owned()
}

/// Whether a text is space that only sets elements apart.
fn is_ignored(node: &NodeRef, parent: &str) -> bool {
    if !node.text().trim().is_empty() {
        return false;
    }
    let (before, after) = (node.prev_sibling(), node.next_sibling());
    (is_block(parent) && (before.is_none() || after.is_none()))
        || ends_lines(before.as_ref())
        || ends_lines(after.as_ref())
}

/// Elements within which space at the ends means nothing.
fn is_block(name: &str) -> bool {
    heading(name).is_some()
        || matches!(name, "p" | "blockquote" | "article" | "div" | "section" | "ol" | "ul" | "li")
        || matches!(name, "dl" | "dt" | "dd" | "table" | "thead" | "tbody" | "tfoot")
        || matches!(name, "tr" | "td" | "th")
}

/// Whether space beside a node means nothing.
fn ends_lines(node: Option<&NodeRef>) -> bool {
    let name = node.filter(|it| it.is_element()).and_then(NodeRef::node_name);
    name.is_some_and(|it| is_block(&it) || &*it == "pre")
}

/// The level of `h1` .. `h6`; of what claims to be lower still, the lowest.
fn heading(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('h')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    (length > 0).then(|| digits[..length].parse().unwrap_or(6).clamp(1, 6))
}

/// Text in marks, which have to be next to it; the space around it stays outside.
fn marked(text: &str, mark: &str) -> String {
    let (before, inner, after) = apart(text);
    match inner {
        "" => String::new(),
        _ => format!("{before}{mark}{inner}{mark}{after}"),
    }
}

fn apart(text: &str) -> (&str, &str, &str) {
    let space = |is: bool| if is { " " } else { "" };
    (space(text.starts_with(' ')), text.trim(), space(text.ends_with(' ')))
}

fn code(text: &str) -> String {
    match (apart(text).1, count_runs(text, '`')) {
        ("", _) => String::new(),
        (_, 0) => marked(text, "`"),
        (_, longest) => {
            let ((before, inner, after), mark) = (apart(text), "`".repeat(longest + 1));
            format!("{before}{mark} {inner} {mark}{after}")
        }
    }
}

fn link(element: &NodeRef, text: &str) -> String {
    let (before, inner, after) = apart(text);
    let href = element.attr("href").filter(|it| !it.is_empty());
    match (inner, href) {
        ("", _) => String::new(),
        (_, None) => inner.to_owned(),
        (_, Some(href)) => match title(element) {
            title if title.is_empty() && inner.replace("\\_", "_") == *href => {
                format!("<{href}>")
            }
            title => format!("{before}[{inner}]({href}{title}){after}"),
        },
    }
}

fn title(element: &NodeRef) -> String {
    match element.attr("title").filter(|it| !it.is_empty()) {
        Some(title) => format!(" \"{}\"", title.replace('"', "\\\"")),
        None => String::new(),
    }
}

fn image(element: &NodeRef, around: Around) -> String {
    let attribute = |name| element.attr_or(name, "");
    match around.line {
        true => attribute("alt").to_string(),
        false => format!("![{}]({}{})", attribute("alt"), attribute("src"), title(element)),
    }
}

fn video(element: &NodeRef, text: String, around: Around) -> String {
    if around.line {
        return text;
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let source = || {
        let mut sources = element.descendants_it().filter(|it| it.has_name("source"));
        sources.find_map(|it| it.attr("src")).and_then(|it| some(&it))
    };
    let src = some(&element.attr_or("src", "")).or_else(source);
    match (src, some(&element.attr_or("poster", ""))) {
        (Some(src), Some(poster)) => format!("[![{text}]({poster})]({src})"),
        (Some(src), None) => format!("[{text}]({src})"),
        (None, Some(poster)) => format!("![{text}]({poster})"),
        (None, None) => text,
    }
}

fn block(text: &str, around: Around) -> String {
    match text {
        _ if around.line => format!(" {text} "),
        "" => String::new(),
        _ => format!("\n\n{text}\n\n"),
    }
}

fn quotation(text: &str, around: Around) -> String {
    match text {
        _ if around.line => format!(" {text} "),
        "" => "\n".to_owned(),
        _ => format!("\n{}\n\n", each_line(text, "> ", ">")),
    }
}

fn preformatted(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let indented = text.trim_start_matches([' ', '\n']);
    let first = text[..text.len() - indented.len()].rfind('\n').map_or(0, |it| it + 1);
    format!("\n\n```\n{}\n```\n\n", text[first..].trim_end_matches([' ', '\n']))
}

fn list(element: &NodeRef, text: &str, around: Around) -> String {
    if around.item {
        return format!("\n{}", text.trim_end());
    }
    let mut next = element.next_sibling();
    while let Some(node) = next.filter(|it| it.is_text() && it.text().trim().is_empty()) {
        next = node.next_sibling();
    }
    let end =
        if next.is_some_and(|it| !it.has_name("ul") && !it.has_name("ol")) { "\n" } else { "" };
    format!("\n\n{text}{end}")
}

fn item(element: &NodeRef, text: &str, around: Around, items: usize) -> String {
    if text.is_empty() {
        return "\n".to_owned();
    }
    let bullet = match element.parent().filter(|it| it.has_name("ol")) {
        Some(list) => {
            let start = list.attr("start").filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
            let start = start.and_then(|it| it.parse::<usize>().ok()).unwrap_or(1);
            format!("{}. ", start.saturating_add(items))
        }
        None => ["- ", "* ", "+ "][around.lists % 3].to_owned(),
    };
    let lines = each_line(text, &" ".repeat(bullet.len()), "");
    format!("{bullet}{}\n", &lines[bullet.len()..])
}

fn term(text: &str, around: Around) -> String {
    match collapse(text) {
        text if around.line => format!(" {text} "),
        text if text.is_empty() => "\n".to_owned(),
        text => format!("\n\n{text}\n"),
    }
}

fn definition(text: &str, around: Around) -> String {
    match text {
        _ if around.line => format!(" {text} "),
        "" => "\n".to_owned(),
        _ => format!(":{}\n", &each_line(text, "    ", "")[1..]),
    }
}

fn columns(cell: &NodeRef) -> usize {
    let span = cell.attr("colspan").filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
    span.filter(|it| !it.is_empty()).map_or(1, |it| it.parse().unwrap_or(1000).clamp(1, 1000))
}

/// A table's first row has a line below it if it is a heading, and an empty heading above it if it is not.
fn row(element: &NodeRef, text: &str) -> String {
    let row = format!("|{text}\n");
    if element.prev_element_sibling().is_some() {
        return row;
    }
    let named = |name: &'static str| move |it: &NodeRef| it.has_name(name);
    let cells: Vec<NodeRef> =
        element.descendants_it().filter(|it| it.has_name("td") || it.has_name("th")).collect();
    let wide: usize = cells.iter().map(columns).sum();
    let rule = |cell: &str| format!("| {} |\n", vec![cell; wide].join(" | "));
    let parent = element.parent();
    let head = parent.filter(named("thead"));
    let is_only = |head: NodeRef| head.descendants_it().filter(named("tr")).count() == 1;
    if cells.iter().all(named("th")) || head.is_some_and(is_only) {
        return row + &rule("---");
    }
    let body = parent.filter(named("tbody"));
    let has_head = |body: NodeRef| {
        let table = body.parent();
        table.is_some_and(|it| it.descendants_it().any(|it| it.has_name("thead")))
    };
    let is_first = |body: NodeRef| body.prev_element_sibling().is_none();
    match body {
        Some(body) if has_head(body) && !is_first(body) => row,
        _ => rule("") + &rule("---") + &row,
    }
}

//! The article of a page: what a reader came for, as Markdown. Which part of a page that is, Readability decides.

use dom_query::{Document, NodeRef};
use dom_smoothie::Readability;
use url::Url;

use crate::markdown;

/// In the reference server's words.
const NONE: &str = "<error>Page failed to be simplified from HTML</error>";

/// Elements below this depth are given as their text. Browsers stop at 512; here each level is a call on the stack, or work for those above it.
const DEEPEST: usize = 200;

pub fn of_page(html: &str) -> String {
    let page = Document::from(html);
    flatten(page.root());
    // The reference server does not say where the page is from, so that links stay as they are written.
    let article = Readability::with_document(page, None, None).and_then(|mut it| it.parse());
    let markdown = article.map(|it| {
        let content = Document::fragment(it.content);
        spell_addresses(&content);
        markdown::of_fragment(&content)
    });
    let markdown = markdown.unwrap_or_default();
    if markdown.trim().is_empty() { NONE.to_owned() } else { markdown }
}

/// Addresses that are whole are written as a browser writes them: `https://example.org` is `https://example.org/`.
fn spell_addresses(content: &Document) {
    for (elements, attribute) in [
        ("a[href]", "href"),
        ("img[src], video[src], source[src]", "src"),
        ("video[poster]", "poster"),
    ] {
        for element in content.select(elements).nodes() {
            let written = element.attr_or(attribute, "");
            if let Some(spelt) = Url::parse(&written).ok().filter(|it| it.as_str() != &*written) {
                element.set_attr(attribute, spelt.as_str());
            }
        }
    }
}

fn flatten(root: NodeRef) {
    let mut below = vec![(root, 0)];
    while let Some((node, depth)) = below.pop() {
        if depth < DEEPEST {
            below.extend(node.children_it(false).map(|child| (child, depth + 1)));
        } else if node.first_element_child().is_some() {
            node.set_text(node.text());
        }
    }
}

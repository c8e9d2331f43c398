//! Small inputs with what the reference server made of them, in `markdown.txt` and `pages.txt`: `===` and the HTML, `---`, and the answer.

/// Two texts for each case.
fn cases(table: &str) -> Vec<(&str, &str)> {
    let cases = table.split("=== ").skip(1);
    cases.filter_map(|it| it.trim_end_matches('\n').split_once("\n---\n")).collect()
}

fn check(table: &str, ours: impl Fn(&str) -> String, count: usize) {
    let cases = cases(table);
    assert_eq!(cases.len(), count);
    for (html, expected) in cases {
        assert_eq!(ours(html), expected, "{html}");
    }
}

#[test]
fn html_becomes_the_markdown_of_the_reference() {
    check(include_str!("markdown.txt"), fetch::markdown::of_html, 16);
}

#[test]
fn a_page_becomes_the_article_of_the_reference() {
    check(include_str!("pages.txt"), fetch::article::of_page, 8);
}

#[test]
fn a_deep_page_is_no_harm() {
    for open in ["<div>", "<blockquote>", "<ul><li>", "<b>", "<table><tr><td>"] {
        let page = format!("{}<p>the end</p>", open.repeat(2000));
        // On a stack as small as a guest's.
        let reading = std::thread::Builder::new().stack_size(1 << 20);
        let article =
            reading.spawn(move || fetch::article::of_page(&page)).unwrap().join().unwrap();
        assert!(article.contains("the end"), "{open}");
    }
}

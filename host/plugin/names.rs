//! WIT names in JSON: `parse-URL-v2` is `parse_url_v2`.
//!
//! WIT names that differ only in case cannot stand in one scope, so two names of a scope never meet here.

pub fn snake_case(wit: &str) -> String {
    wit.replace('-', "_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #[test]
    fn kebab_case_with_acronyms_becomes_snake_case() {
        assert_eq!(super::snake_case("read-text-file"), "read_text_file");
        assert_eq!(super::snake_case("parse-URL-v2"), "parse_url_v2");
    }
}

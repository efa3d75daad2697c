//! Makes what browsers download smaller, without changing what it does; and has the worker hear of
//! traps.

mod names;

pub use names::shorten;

/// Where wasm-bindgen's glue takes over what a module exports.
const EXPORTS: &str = "wasm = instance.exports;";

/// Has `self.dcdnGuarded`, which `static/sw.js` defines, between the glue and the module.
/// `None` if the glue is not what it was.
pub fn guarded(glue: &str) -> Option<String> {
    let (before, after) = glue.split_once(EXPORTS)?;
    let is_only = !after.contains("instance.exports");
    is_only.then(|| format!("{before}wasm = self.dcdnGuarded(instance.exports);{after}"))
}

/// Takes a script's comments and indentation away: lines that are nothing but a comment,
/// and blocks of them. A script must not have text of several lines.
pub fn without_comments(script: &str) -> String {
    let mut slim = String::new();
    let mut in_block = false;
    for line in script.lines().map(str::trim) {
        let starts_block = line.starts_with("/*");
        if starts_block || in_block {
            in_block = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            slim += line;
            slim.push('\n');
        }
    }
    slim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_into_a_module_are_guarded_or_it_is_said() {
        let glue = "function init(instance) { wasm = instance.exports; return wasm; }";
        let expected =
            "function init(instance) { wasm = self.dcdnGuarded(instance.exports); return wasm; }";
        assert_eq!(guarded(glue).as_deref(), Some(expected));
        assert_eq!(guarded("wasm = made.exports;"), None);
        assert_eq!(guarded("wasm = instance.exports; more = instance.exports;"), None);
    }

    #[test]
    fn comments_go_and_code_stays() {
        let script = "// What.\n\n/**\n * Why.\n */\nlet a = 'http://b'; // c\n  /* d */\n  a();\n";
        assert_eq!(without_comments(script), "let a = 'http://b'; // c\na();\n");
    }
}

//! Makes what browsers download smaller, without changing what it does; and has the worker hear of
//! traps.

use std::collections::BTreeMap;

/// Hexadecimal digits of the hashes by which wasm-bindgen keeps names apart.
const HASH: usize = 16;

/// Gives the hashes in the names that a wasm file and its glue share numbers in their place,
/// of the same length: random digits do not compress, and there are hundreds.
pub fn number_names(glue: &mut [u8], wasm: &mut [u8]) {
    let mut numbers = BTreeMap::new();
    for at in hashes(glue) {
        let next = numbers.len();
        let number = *numbers.entry(glue[at..at + HASH].to_vec()).or_insert(next);
        glue[at..at + HASH].copy_from_slice(digits(number).as_bytes());
    }
    for at in hashes(wasm) {
        if let Some(&number) = numbers.get(&wasm[at..at + HASH]) {
            wasm[at..at + HASH].copy_from_slice(digits(number).as_bytes());
        }
    }
}

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

/// Where `_` and a hash stand: the places of the hashes.
fn hashes(bytes: &[u8]) -> Vec<usize> {
    let is_hash = |window: &[u8]| {
        window[0] == b'_'
            && window[1..=HASH].iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
            && window.get(HASH + 1).is_none_or(|it| !it.is_ascii_hexdigit())
    };
    let places = (0..bytes.len().saturating_sub(HASH)).filter(|&at| is_hash(&bytes[at..]));
    places.map(|at| at + 1).collect()
}

fn digits(number: usize) -> String {
    format!("{number:0HASH$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_wasm_and_glue_and_no_longer_than_before() {
        let mut glue = *b"__wbg_get_0123456789abcdef: x, __wbg_set_fedcba9876543210()";
        let mut wasm = *b"\0__wbg_set_fedcba9876543210\x01__wbg_get_0123456789abcdef";

        number_names(&mut glue, &mut wasm);

        assert_eq!(&glue, b"__wbg_get_0000000000000000: x, __wbg_set_0000000000000001()");
        assert_eq!(&wasm, b"\0__wbg_set_0000000000000001\x01__wbg_get_0000000000000000");
    }

    #[test]
    fn what_is_no_hash_of_the_glue_stays() {
        let mut wasm = *b"_0123456789abcdef";
        number_names(&mut b"const a_b = '_0123456789abcdef0';".to_owned(), &mut wasm);
        assert_eq!(&wasm, b"_0123456789abcdef");
    }

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

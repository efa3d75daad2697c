//! Short names for what a wasm file and its glue call each other.

use std::collections::BTreeMap;

/// Prefixes of the names that wasm-bindgen makes up: nobody else uses them.
const MADE_UP: [&str; 2] = ["__wb", "wasm_bindgen__"];

/// Kinds of sections of a wasm file.
const CUSTOM: u8 = 0;
const IMPORT: u8 = 2;
const EXPORT: u8 = 7;

/// A function, among imports and exports.
const FUNCTION: u8 = 0;

/// Where wasm files differ from each other, after magic and version.
const HEADER: usize = 8;

/// Gives the functions that a wasm file and its glue take from each other names of a few letters,
/// and the module that they are imported from too: the usual ones are long, with random digits.
/// Sections that browsers do not look at go.
///
/// `None` if the file is something that wasm-bindgen does not make.
pub fn shorten(glue: &str, wasm: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut names = Names { taken: glue, modules: BTreeMap::new(), functions: BTreeMap::new() };
    let mut slim = wasm.get(..HEADER)?.to_vec();
    let mut rest = Reader(&wasm[HEADER..]);
    while !rest.0.is_empty() {
        let kind = rest.byte()?;
        let content = rest.bytes()?;
        let content = match kind {
            CUSTOM => continue,
            IMPORT => imports(&mut Reader(content), &mut names)?,
            EXPORT => exports(&mut Reader(content), &mut names)?,
            _ => content.to_vec(),
        };
        slim.push(kind);
        push_bytes(&mut slim, &content);
    }
    Some((names.in_script(), slim))
}

fn imports<'a>(section: &mut Reader<'a>, names: &mut Names<'a>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let count = section.number()?;
    push_number(&mut content, count);
    for _ in 0..count {
        push_bytes(&mut content, names.module(section.text()?).as_bytes());
        push_bytes(&mut content, names.function(section.text()?).as_bytes());
        // Else it would have to be understood.
        let FUNCTION = section.byte()? else { return None };
        content.push(FUNCTION);
        push_number(&mut content, section.number()?);
    }
    section.0.is_empty().then_some(content)
}

fn exports<'a>(section: &mut Reader<'a>, names: &mut Names<'a>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let count = section.number()?;
    push_number(&mut content, count);
    for _ in 0..count {
        push_bytes(&mut content, names.function(section.text()?).as_bytes());
        content.push(section.byte()?);
        push_number(&mut content, section.number()?);
    }
    section.0.is_empty().then_some(content)
}

/// The new names by the old ones.
struct Names<'a> {
    /// What new names must not be in.
    taken: &'a str,
    modules: BTreeMap<&'a str, String>,
    functions: BTreeMap<&'a str, String>,
}

impl<'a> Names<'a> {
    fn module(&mut self, name: &'a str) -> &str {
        let next = self.modules.len().to_string();
        self.modules.entry(name).or_insert(next)
    }

    fn function<'b>(&'b mut self, name: &'a str) -> &'b str {
        if !MADE_UP.iter().any(|prefix| name.starts_with(prefix)) {
            return name;
        }
        let next = self.functions.len();
        let taken = self.taken;
        self.functions.entry(name).or_insert_with(|| {
            let mut new = letters(next);
            while taken.contains(&new) {
                new.insert(0, '$');
            }
            new
        })
    }

    /// The script with the new names.
    fn in_script(&self) -> String {
        let mut script = String::new();
        let mut rest = self.taken;
        while let Some(start) = rest.find(is_word) {
            let end = rest[start..].find(|it| !is_word(it)).map_or(rest.len(), |it| start + it);
            let word = &rest[start..end];
            script += &rest[..start];
            script += self.functions.get(word).map_or(word, String::as_str);
            rest = &rest[end..];
        }
        script += rest;
        for (old, new) in &self.modules {
            script = script.replace(&format!("\"{old}\""), &format!("\"{new}\""));
        }
        script
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$')
}

/// `$aa`, `$ab`, and so on: neighbours are alike, which compresses well.
fn letters(number: usize) -> String {
    let letter = |it: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[it % 26]);
    let more = if number < 26 * 26 { String::new() } else { (number / (26 * 26)).to_string() };
    format!("${}{}{more}", letter(number / 26), letter(number))
}

/// What is left of some bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// LEB128, as all numbers of a wasm file.
    fn number(&mut self) -> Option<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            match byte < 0x80 {
                true => return Some(number),
                false if shift > 28 => return None,
                false => {}
            }
        }
    }

    /// As many bytes as the number before them says.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }
}

fn push_bytes(content: &mut Vec<u8>, bytes: &[u8]) {
    push_number(content, bytes.len());
    content.extend_from_slice(bytes);
}

fn push_number(content: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        content.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    content.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A module that imports two functions and exports two and its memory.
    fn module(from: &str, imports: [&str; 2], exports: [&str; 2], custom: &[u8]) -> Vec<u8> {
        let mut import = vec![2];
        for name in imports {
            push_bytes(&mut import, from.as_bytes());
            push_bytes(&mut import, name.as_bytes());
            import.extend([FUNCTION, 0]);
        }
        let mut export = vec![3];
        for (name, kind) in exports.into_iter().zip([FUNCTION; 2]).chain([("memory", 2)]) {
            push_bytes(&mut export, name.as_bytes());
            export.extend([kind, 1]);
        }
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        for (kind, content) in [(1, vec![1, 0x60, 0, 0]), (IMPORT, import), (EXPORT, export)] {
            wasm.push(kind);
            push_bytes(&mut wasm, &content);
        }
        wasm.extend_from_slice(custom);
        wasm
    }

    const GLUE: &str = r#"{ "./a_bg.js": { __wbg_get_0f: x, __wbg_get_0f1: y } }; wasm.__wbindgen_free();
        wasm.start(a$ab);"#;

    #[test]
    fn wasm_and_glue_call_each_other_by_the_same_short_names() {
        let (imports, exports) = (["__wbg_get_0f", "__wbg_get_0f1"], ["__wbindgen_free", "start"]);
        let long = module("./a_bg.js", imports, exports, b"\0\x02\x01x");

        let (glue, wasm) = shorten(GLUE, &long).unwrap();

        let expected = r#"{ "0": { $aa: x, $$ab: y } }; wasm.$ac();
        wasm.start(a$ab);"#;
        assert_eq!(glue, expected);
        assert_eq!(wasm, module("0", ["$aa", "$$ab"], ["$ac", "start"], b""));
    }

    #[test]
    fn what_cannot_be_understood_is_left_to_the_caller() {
        let long = module("m", ["a", "b"], ["c", "d"], b"");
        assert_eq!(shorten("", &long[..long.len() - 1]), None);
        assert_eq!(shorten("", b"\0asm"), None);
    }
}

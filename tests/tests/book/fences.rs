//! The fenced blocks of the documentation.

use std::fs;
use std::path::Path;

use anyhow::Result;

/// A block of code in a document.
pub struct Fence {
    /// Document and line.
    pub place: String,
    /// Without what indents all of it.
    pub text: String,
}

/// The blocks in a language of all documents, in their order.
pub fn fences(root: &Path, language: &str) -> Result<Vec<Fence>> {
    let mut documents: Vec<_> = ["README.md", "CONTRIBUTING.md", "npm/README.md"]
        .map(|name| root.join(name))
        .into_iter()
        .chain(
            fs::read_dir(root.join("docs"))?
                .map(|it| Ok(it?.path()))
                .collect::<Result<Vec<_>>>()?,
        )
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    documents.sort();
    let mut found = Vec::new();
    for path in documents {
        let name = path.strip_prefix(root)?.display().to_string();
        found.extend(in_document(&name, &fs::read_to_string(&path)?, language));
    }
    Ok(found)
}

fn in_document(name: &str, text: &str, language: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(said) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let inside = lines.by_ref().map(|(_, line)| line).take_while(|it| it.trim() != "```");
        let text: Vec<&str> = inside.map(|it| it.get(indent..).unwrap_or_default()).collect();
        if said == language {
            let place = format!("{name}:{}", number + 1);
            found.push(Fence { place, text: text.join("\n") + "\n" });
        }
    }
    found
}

/// The commands of a block: its lines, without comments, those that go on joined.
pub fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let bare = joined.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    bare.filter(|it| !it.is_empty() && !it.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_wherever_they_stand() {
        let text = "# A\n\n```sh\none\n```\n\n1. B\n\n   ```sh\n   two \\\n     more  # why\n   ```\n\n```js\nx\n```\n";
        let found = in_document("a.md", text, "sh");
        let places: Vec<&str> = found.iter().map(|it| it.place.as_str()).collect();
        assert_eq!(places, ["a.md:3", "a.md:9"]);
        assert_eq!(commands(&found[0].text), ["one"]);
        assert_eq!(commands(&found[1].text), ["two    more"]);
    }
}

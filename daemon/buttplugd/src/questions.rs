//! Questions about definitions that the program answers without being a service: is a file right, what is known, why is a name
//! taken for what it is taken for.

use std::{
    io::{self, Write},
    path::Path,
};

use engine::{
    advertisement::Advertisement,
    definition::{
        catalogue::{Catalogue, Source},
        parse::Layer,
    },
};

use crate::definitions::Templates;

/// What a question came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Right,
    /// Something is wrong, and was said.
    Wrong,
}

/// Says what is wrong with a definition file, as if it lay where it lies: a `plugin.toml` in a plugin folder, another file with
/// the user's.
///
/// # Errors
/// The answer cannot be written.
pub fn check(catalogue: &Catalogue, file: &Path, out: &mut impl Write) -> io::Result<Verdict> {
    let layer =
        if file.file_name().is_some_and(|name| name == "plugin.toml") { Layer::Plugins } else { Layer::User };
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let source = Source { layer, file: file.display().to_string(), text };
    let problems = catalogue.check(&source, &Templates::Try);
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    if problems.is_empty() {
        writeln!(out, "ok")?;
        return Ok(Verdict::Right);
    }
    Ok(Verdict::Wrong)
}

/// Lists every model: maker, name, protocol and what it says it is, with tabs between them.
///
/// # Errors
/// The answer cannot be written.
pub fn list(catalogue: &Catalogue, out: &mut impl Write) -> io::Result<()> {
    let mut lines: Vec<String> = catalogue
        .list()
        .into_iter()
        .map(|model| {
            let maker = model.maker.unwrap_or("-");
            format!("{maker}\t{}\t{}\t{}", model.name, model.protocol, model.identifiers.join(" "))
        })
        .collect();
    lines.sort();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Says what a device that shows this name would be taken for, and why. A path is that of a serial port.
///
/// # Errors
/// The answer cannot be written.
pub fn explain(catalogue: &Catalogue, name: &str, out: &mut impl Write) -> io::Result<()> {
    let shown = if name.starts_with('/') {
        Advertisement::Serial { port: name.to_owned(), usb: None }
    } else {
        Advertisement::Bluetooth {
            name: Some(name.to_owned()),
            manufacturer_data: Vec::new(),
            services: Vec::new(),
        }
    };
    catalogue.explain(&shown, None).iter().try_for_each(|line| writeln!(out, "{line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Folders;

    fn ours() -> Catalogue {
        let plugins = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins")];
        let sources = Folders { plugins, ..Folders::default() }.read();
        Catalogue::build(&sources, None, &Templates::Read).0
    }

    fn said(ask: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        ask(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_model_is_listed_with_its_maker() {
        let text = said(|out| list(&ours(), out).unwrap());
        assert!(text.lines().any(|line| line.starts_with("Lovense\t")), "{text}");
        assert!(text.lines().all(|line| line.matches('\t').count() == 3), "{text}");
    }

    #[test]
    fn a_name_is_explained() {
        let text = said(|out| explain(&ours(), "LVS-Z001", out).unwrap());
        assert!(text.contains("lovense"), "{text}");
        let unknown = said(|out| explain(&ours(), "no such device", out).unwrap());
        assert!(!unknown.is_empty());
    }

    #[test]
    fn a_wrong_file_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "[[modle]]\n").unwrap();
        let mut verdict = Verdict::Right;
        let text = said(|out| verdict = check(&ours(), &file, out).unwrap());
        assert!(
            verdict == Verdict::Wrong && text.contains("mine.toml:1: ") && text.contains("modle"),
            "{text}"
        );
        std::fs::write(&file, "").unwrap();
        let text = said(|out| verdict = check(&ours(), &file, out).unwrap());
        assert_eq!((verdict, text.as_str()), (Verdict::Right, "ok\n"));
    }
}

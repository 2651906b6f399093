//! Lists the catalogue (`models/`) and its data (`data/`), so that the program carries them wherever it is installed.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut list = String::from("&[\n");
    for (folder, endings) in [("models", &["toml"][..]), ("data", &["csv", "h5"])] {
        println!("cargo::rerun-if-changed={folder}");
        let mut names = Vec::new();
        for entry in fs::read_dir(Path::new(&root).join(folder))? {
            let path = entry?.path();
            let wanted = path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending));
            if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| wanted) {
                names.push((name.to_owned(), path.display().to_string()));
            }
        }
        names.sort();
        for (name, path) in names {
            writeln!(list, "    (\"{folder}\", {name:?}, include_bytes!({path:?})),")
                .map_err(io::Error::other)?;
        }
    }
    list.push_str("]\n");
    fs::write(Path::new(&out).join("catalogue.rs"), list)
}

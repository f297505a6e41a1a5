//! Makes one file of the page's parts and compresses it: the module is loaded into every
//! VM, and browsers take it so.

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let mut page = part("page.html")?;
    for name in PARTS {
        let place = format!("{{{name}}}");
        if page.matches(&place).count() != 1 {
            return Err(format!("{FOLDER}/page.html has not one {place}").into());
        }
        page = page.replace(&place, &part(name)?);
    }
    let out = env::var("OUT_DIR")?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(page.as_bytes())?;
    fs::write(Path::new(&out).join("page.html.gz"), gzip.finish()?)?;
    // For the tests.
    fs::write(Path::new(&out).join("page.html"), page)?;
    Ok(())
}

/// A part without what is for those who read it here: indents, and lines of comment.
fn part(name: &str) -> Result<String, Box<dyn Error>> {
    let path = Path::new(FOLDER).join(name);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().map(str::trim_start);
    let is_comment =
        |line: &str| line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
    let kept: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !is_comment(line))
        .collect();
    Ok(kept.join("\n"))
}

const FOLDER: &str = "src/admin/page";
const PARTS: [&str; 5] = ["page.css", "text.js", "chart.js", "replicas.js", "page.js"];

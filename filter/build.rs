//! Compresses the page of the admin listener: the module is loaded into every VM, and
//! browsers take it so.

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PAGE}");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&fs::read(PAGE)?)?;
    let out = Path::new(&env::var("OUT_DIR")?).join("page.html.gz");
    fs::write(out, gzip.finish()?)?;
    Ok(())
}

const PAGE: &str = "src/admin/page.html";

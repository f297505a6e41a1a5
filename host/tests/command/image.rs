//! `dtr-lb image` and `dtr-lb filter`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use dtr_lb::{FILTER, filter_for_services, sha256};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::{output, text};

/// The blobs of a layout, each of which must be what its name says.
fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let blob = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let digits = sha256(&bytes);
        assert_eq!(path.file_name().unwrap().to_str(), Some(digits.as_str()));
        (format!("sha256:{digits}"), bytes)
    };
    blobs.map(blob).collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn write(layout: &Path) -> String {
    let output = output(&["image", "--out", layout.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_filter_is_an_image_in_both_forms_that_istio_takes() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let printed = write(&layout);
    assert!(
        printed.contains("not to the registry that it is to balance"),
        "{printed}"
    );
    let header = json(&fs::read(layout.join("oci-layout")).unwrap());
    assert_eq!(header["imageLayoutVersion"], "1.0.0");

    let index = fs::read(layout.join("index.json")).unwrap();
    let blobs = blobs(&layout);
    let content = |descriptor: &Value| {
        let bytes = &blobs[descriptor["digest"].as_str().unwrap()];
        assert_eq!(descriptor["size"], bytes.len());
        bytes.as_slice()
    };
    let image = |name: &str| {
        let images = json(&index)["manifests"].as_array().unwrap().clone();
        let is_it =
            |image: &&Value| image["annotations"]["org.opencontainers.image.ref.name"] == name;
        let image = images.iter().find(is_it).unwrap();
        assert!(
            printed.contains(image["digest"].as_str().unwrap()),
            "{printed}"
        );
        json(content(image))
    };

    let compat = image("compat");
    let layers = compat["layers"].as_array().unwrap();
    let last = layers.last().unwrap();
    assert_eq!(
        last["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    let mut archive = tar::Archive::new(GzDecoder::new(content(last)));
    let mut files = archive.entries().unwrap().map(|file| {
        let mut file = file.unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.path().unwrap().display().to_string(), bytes)
    });
    assert!(files.next() == Some(("plugin.wasm".to_owned(), FILTER.to_vec())));
    assert!(files.next().is_none());
    let config = json(content(&compat["config"]));
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().unwrap().len(),
        layers.len()
    );

    let artifact = image("oci");
    let layers = artifact["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2, "Istio refuses any other number");
    let wasm = "application/vnd.module.wasm.content.layer.v1+wasm";
    let mut modules = layers.iter().filter(|layer| layer["mediaType"] == wasm);
    assert!(content(modules.next().unwrap()) == FILTER);

    let again = folder.path().join("again");
    write(&again);
    assert_eq!(
        fs::read(again.join("index.json")).unwrap(),
        index,
        "other digests"
    );
}

#[test]
fn the_filter_is_written_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("filter.wasm");
    let output = output(&["filter", "--out", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(fs::read(&file).unwrap() == FILTER);
    let expected = format!("{}  {}\n", sha256(FILTER), file.display());
    assert_eq!(text(&output.stdout), expected);

    let nowhere = folder.path().join("no/filter.wasm");
    let output = crate::output(&["filter", "--out", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("filter.wasm can't be written; check the folder"),
        "{error}"
    );
}

#[test]
fn the_filter_for_services_is_written_in_all_forms() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("filter.wasm");
    let arguments = ["filter", "--services", "--out", file.to_str().unwrap()];
    let output = crate::output(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let module = filter_for_services();
    assert!(fs::read(&file).unwrap() == module && module != FILTER);

    let layout = folder.path().join("layout");
    let arguments = ["image", "--services", "--out", layout.to_str().unwrap()];
    let output = crate::output(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(blobs(&layout).values().any(|blob| *blob == module));
}

//! `dtr-lb image`: the filter as images that Istio takes.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use dtr_lb::sha256;
use flate2::{Compression, GzBuilder};
use oci_spec::image::{
    Arch, Descriptor, ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, RootFsBuilder, Sha256Digest,
};
use serde::Serialize;

use super::failure::Failure;
use super::filter::Module;
use super::output::{print, replace};

#[derive(Debug, Args)]
pub(crate) struct Image {
    /// Folder to write, an OCI image layout with two images, compat and oci; made when
    /// missing.
    #[arg(long, value_name = "LAYOUT")]
    out: PathBuf,
    #[command(flatten)]
    module: Module,
}

impl Image {
    /// Writes the layout, and prints how to push what is in it.
    pub(super) fn run(self) -> Result<(), Failure> {
        let layout = Layout {
            path: self.out,
            module: self.module.bytes(),
        };
        let written = layout.write();
        let [compat, artifact] =
            written.with_context(|| format!("{} can't be written", layout.path.display()))?;
        let path = layout.path.display();
        print(format_args!(
            "wrote {path}: compat {compat}, oci {artifact}\n\
             push one of them with: skopeo copy oci:{path}:{COMPAT} docker://REGISTRY/dtr-lb-filter:TAG\n\
             not to the registry that it is to balance: with that down, no proxy that starts \
             would get its filter"
        ))
    }
}

/// A folder of images, as the OCI image specification has it.
struct Layout {
    path: PathBuf,
    module: Cow<'static, [u8]>,
}

impl Layout {
    /// Writes both images; the digests of their manifests.
    fn write(&self) -> Result<[String; 2], anyhow::Error> {
        fs::create_dir_all(self.path.join(BLOBS))?;
        let images = [(COMPAT, self.compat()?), (ARTIFACT, self.artifact()?)];
        let digests = images
            .each_ref()
            .map(|(_, image)| image.digest().to_string());
        let named = images.map(|(name, mut image)| {
            image.set_annotations(Some([(REF_NAME.to_owned(), name.to_owned())].into()));
            image
        });
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(named)
            .build()?;
        self.put("index.json", &index)?;
        // Last, since it says that the rest is there.
        let header = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build()?;
        self.put("oci-layout", &header)?;
        Ok(digests)
    }

    /// An image as any engine has it, with the module as the file `plugin.wasm`.
    fn compat(&self) -> Result<Descriptor, anyhow::Error> {
        let archive = archive(&self.module).context("the archive")?;
        let config = ImageConfigurationBuilder::default()
            .architecture(Arch::Wasm)
            .os(Os::Linux)
            .rootfs(
                RootFsBuilder::default()
                    .typ("layers")
                    .diff_ids([format!("sha256:{}", sha256(&archive))])
                    .build()?,
            )
            .build()?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(self.blob(MediaType::ImageConfig, &serde_json::to_vec(&config)?)?)
            .layers([self.blob(MediaType::ImageLayerGzip, &compressed(&archive)?)?])
            .annotations([(VARIANT.to_owned(), COMPAT.to_owned())])
            .build()?;
        self.manifest(&manifest)
    }

    /// The module itself as a layer, and its configuration, of which there is none.
    fn artifact(&self) -> Result<Descriptor, anyhow::Error> {
        let config = self.blob(MediaType::Other(WASM_CONFIG.to_owned()), b"{}")?;
        let module = self.blob(MediaType::Other(WASM_CONTENT.to_owned()), &self.module)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config.clone())
            .layers([config, module])
            .build()?;
        self.manifest(&manifest)
    }

    fn manifest(&self, manifest: &impl Serialize) -> Result<Descriptor, anyhow::Error> {
        self.blob(MediaType::ImageManifest, &serde_json::to_vec(manifest)?)
    }

    /// Writes a blob under its digest.
    fn blob(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor, anyhow::Error> {
        let sha256 = sha256(bytes);
        replace(&self.path.join(BLOBS).join(&sha256), bytes, 0o644)?;
        let digest: Sha256Digest = sha256.parse()?;
        Ok(Descriptor::new(media_type, bytes.len() as u64, digest))
    }

    fn put(&self, name: impl AsRef<Path>, what: &impl Serialize) -> Result<(), anyhow::Error> {
        replace(&self.path.join(name), &serde_json::to_vec(what)?, 0o644)
    }
}

/// The module as the file where Istio looks for it. The same bytes each time, so that the
/// digests are the same.
fn archive(module: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "plugin.wasm", module)?;
    archive.into_inner()
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = GzBuilder::new().write(Vec::new(), Compression::best());
    compressor.write_all(bytes)?;
    compressor.finish()
}

/// The names of the two forms in the specification of Wasm images
/// (solo-io/wasm, spec/README.md).
const COMPAT: &str = "compat";
const ARTIFACT: &str = "oci";
const VARIANT: &str = "module.wasm.image/variant";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
/// What names an image in an index.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const BLOBS: &str = "blobs/sha256";

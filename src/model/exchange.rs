//! Importing versions from files and exporting them, in every format of adapters.

use super::Model;
use crate::adapter::Adapter;
use crate::bundle::{Bundle, Pooling};
use crate::error::{Code, Error, Result, ResultExt};
use crate::example::TaskKind;
use crate::exchange::{self, Backbone, Format, ReadOptions, WriteOptions};
use crate::graph;
use crate::language::Language;
use crate::report::LanguageReport;
use crate::sites::{Site, find_sites, unread_sites};
use crate::store::VersionId;
use crate::update::{self, ImportOptions};
use std::path::Path;

/// What the exchange of adapters needs to know of a bundle.
pub struct ExchangeSites {
    /// Every site of the bundle's graph.
    pub sites: Vec<Site>,
    /// The modules of the sites on which the backbone's output does not depend.
    pub unread: Vec<String>,
}

impl ExchangeSites {
    /// Finds the sites of a bundle: of encoder and decoder if it has a decoder.
    ///
    /// # Errors
    /// As [`unread_sites`].
    pub fn of(bundle: &Bundle) -> Result<Self> {
        let decoder = bundle.interface().decoder.as_ref();
        let outputs = decoder.map(|decoder| decoder.logits.as_str());
        let outputs: Vec<&str> = outputs.into_iter().chain([&*bundle.interface().output]).collect();
        Self::in_model(bundle, bundle.model(), &outputs)
    }

    /// Finds the sites that adapters of this kind of task have: those of the encoder alone for a
    /// task that generates no text.
    ///
    /// # Errors
    /// As [`unread_sites`].
    pub fn for_task(bundle: &Bundle, kind: TaskKind) -> Result<Self> {
        match kind.generates_text() {
            true => Self::of(bundle),
            false => Self::in_model(bundle, bundle.encoder(), &[&bundle.interface().output]),
        }
    }

    fn in_model(bundle: &Bundle, model: &graph::Model, outputs: &[&str]) -> Result<Self> {
        let graph = model.graph()?;
        let sites = find_sites(graph, bundle.weights());
        let unread = unread_sites(graph, &sites, outputs)?;
        Ok(Self { sites, unread })
    }

    /// The backbone of the bundle that the sites were found in.
    pub fn backbone<'a>(&'a self, bundle: &'a Bundle) -> Backbone<'a> {
        let pooler = bundle.pooler();
        Backbone {
            hash: bundle.backbone_hash(),
            reading: Some(bundle.reading()),
            sites: &self.sites,
            hidden: bundle.interface().hidden,
            pooled: pooler.size,
            first_token: pooler.pooling == Pooling::Cls && pooler.layers.is_empty(),
            unread: &self.unread,
        }
    }
}

/// A version that was imported from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedVersion {
    /// The version.
    pub version: VersionId,
    /// The format of the file or folder.
    pub format: Format,
    /// What the gate decided; absent if it was not asked.
    pub report: Option<LanguageReport>,
    /// Notes on the translation, as in [`exchange::Imported`].
    pub notes: Vec<String>,
}

impl Model {
    /// Imports the adapter at `path`, a file or folder of any [`Format`], as a version of
    /// `language`. [`Language::shared`] imports the version that serves languages without one.
    ///
    /// # Errors
    /// Nothing is published on any error. Those of [`exchange::import`] and [`update::import`].
    pub fn import(
        &self,
        task: &str,
        language: &Language,
        path: &Path,
        read: &ReadOptions,
        options: &ImportOptions,
    ) -> Result<ImportedVersion> {
        let bundle = self.bundle();
        let format = Format::detect(path)?;
        // Other libraries do not state a kind; what they have heads for reads the encoder.
        let kind = match format {
            Format::Own => exchange::describe(path)?.task.unwrap_or_default(),
            _ => TaskKind::default(),
        };
        let sites = ExchangeSites::for_task(bundle, kind)?;
        let exchange::Imported { adapter, notes } =
            exchange::import(path, &sites.backbone(bundle), read)?;
        let place = (task, language);
        let origin = (adapter, format.name());
        let imported = update::import(&self.predictor, &self.store, place, origin, options)
            .context(|| format!("importing {}", path.display()))?;
        let update::Imported { version, report } = imported;
        Ok(ImportedVersion { version, format, report, notes })
    }

    /// Writes a version of `language` to `path`, where nothing may be yet: the one with this
    /// number, or the language's own active version.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when there is no such version; those of [`exchange::write`].
    pub fn export(
        &self,
        task: &str,
        language: &Language,
        number: Option<u32>,
        (format, path): (Format, &Path),
        options: &WriteOptions,
    ) -> Result<()> {
        let bundle = self.bundle();
        let versions = self.store.versions(Some(task))?;
        let mut own = versions.iter().filter(|one| one.language == *language);
        let found = own.find(|one| number.map_or(one.active, |number| one.number == number));
        let found = found.ok_or_else(|| {
            let which = number.map_or("active version".to_owned(), |it| format!("version {it}"));
            Error::new(Code::StoreNoVersion, format!("task {task}, {language}: it has no {which}"))
        })?;
        let adapter = Adapter::from_bytes(&self.store.read_object(&found.hash)?)
            .context(|| format!("reading version {} of {language}", found.number))?;
        let sites = ExchangeSites::for_task(bundle, adapter.task)?;
        let exporting = || format!("exporting version {} of {language}", found.number);
        let backbone = sites.backbone(bundle);
        exchange::write(&adapter, format, path, &backbone, options).context(exporting)
    }
}
